"""The tools that act on accounts. The record keeps each action with who and why."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from pipeline.accounts.switches import Switches
from pipeline.entrypoints.mcp.common_args import record_now
from pipeline.model.switches import SwitchKind
from pipeline.operations.dead_letters import DeadLetters
from pipeline.startup.arguments import id_of, me, names_of
from pipeline.startup.context import names_to_stop
from pipeline.views.account_schemas import SwitchStatusView

Answer = dict[str, Any]
Who = Annotated[str, Field(min_length=1, max_length=100, description="The name of the person who wants this.")]
Why = Annotated[str, Field(min_length=1, max_length=500, description="Why, in the person's words; it is recorded.")]
Letter = Annotated[str, Field(description="The id of the execution that is a dead letter.")]
Whose = Annotated[str, Field(description="The executor's name, or `all`.")]

_ALL = "all"


def requeue(
    execution_id: Letter,
    who: Who,
    why: Why,
    accept_age: Annotated[bool, Field(description="Send an entry even if it is too old.")] = False,  # noqa: FBT002 -- tools are called by name
) -> Answer:
    """Queue a dead letter again. An order that may exist is looked up before anything is sent. This may trade."""
    with record_now() as (_, record):
        DeadLetters(record).requeue(id_of(execution_id, "execution_id"), by=_by(who), why=why, accept_age=accept_age)
    return {"requeued": execution_id}


def discard(execution_id: Letter, who: Who, why: Why) -> Answer:
    """Close a dead letter for good."""
    with record_now() as (_, record):
        DeadLetters(record).discard(id_of(execution_id, "execution_id"), by=_by(who), why=why)
    return {"discarded": execution_id}


def pause(executor: Whose, who: Who, why: Why) -> Answer:
    """Pause the account: entries wait until `resume`, exits are sent."""
    return _turn(SwitchKind.PAUSED, executor, who, why)


def halt(executor: Whose, who: Who, why: Why) -> Answer:
    """Halt the account: entries are skipped, working entries canceled, exits sent. Only a person can lift the halt."""
    return _turn(SwitchKind.HALTED, executor, who, why)


def resume(executor: Whose, who: Who, why: Why) -> Answer:
    """Lift every switch of the account, also a halt by a limit. Entries go on, unless a limit still stops them."""
    with record_now() as (settings, record):
        names = names_of(settings, _one(executor), every=executor == _ALL)
        statuses = [Switches(record).resume(name, by=_by(who), why=why) for name in names]
    return {"switches": [SwitchStatusView.of(status).to_json() for status in statuses]}


def _turn(kind: SwitchKind, executor: str, who: str, why: str) -> Answer:
    with record_now(anywhere=True) as (settings, record):
        names = names_to_stop(settings, _one(executor), every=executor == _ALL)
        statuses = [Switches(record).turn(name, kind, by=_by(who), why=why) for name in names]
    return {"switches": [SwitchStatusView.of(status).to_json() for status in statuses]}


def _one(executor: str) -> str | None:
    return None if executor == _ALL else executor


def _by(who: str) -> str:
    # Record both names: an assistant can make up the person's name, but not the login name of this process.
    return f"{who} through mcp of {me()}"


OPERATING: tuple[Callable[..., Answer], ...] = (requeue, discard, pause, resume, halt)
