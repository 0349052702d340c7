"""The tools that act, for a server that was started to: each is kept in the record with who and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from config.schema.settings import Settings
from pipeline.accounts.switches import Switches
from pipeline.entrypoints.mcp.common_args import id_of, record_now
from pipeline.model.switches import SwitchKind
from pipeline.operations.dead_letters import DeadLetters
from pipeline.startup.executor_names import me, names_of
from pipeline.views.account_schemas import SwitchStatusView

Answer = dict[str, Any]
Who = Annotated[str, Field(min_length=1, max_length=100, description="The person who wants this, by name.")]
Why = Annotated[str, Field(min_length=1, max_length=500, description="Why, in the person's words; it is kept.")]
Letter = Annotated[str, Field(description="The id of the execution that is dead.")]
Whose = Annotated[str, Field(description="The executor's name, or `all`.")]

_ALL = "all"


def requeue(
    execution_id: Letter,
    who: Who,
    why: Why,
    accept_age: Annotated[bool, Field(description="Send an entry although it is old.")] = False,  # noqa: FBT002 -- tools are called by name
) -> Answer:
    """Put a dead letter back to work; an order that may exist is looked up before anything is sent. May trade."""
    with record_now() as (_, record):
        DeadLetters(record).requeue(id_of(execution_id, "execution_id"), by=_by(who), why=why, accept_age=accept_age)
    return {"requeued": execution_id}


def discard(execution_id: Letter, who: Who, why: Why) -> Answer:
    """Close a dead letter for good."""
    with record_now() as (_, record):
        DeadLetters(record).discard(id_of(execution_id, "execution_id"), by=_by(who), why=why)
    return {"discarded": execution_id}


def pause(executor: Whose, who: Who, why: Why) -> Answer:
    """Hold entries until `resume`; exits go."""
    return _turn(SwitchKind.PAUSED, executor, who, why)


def halt(executor: Whose, who: Who, why: Why) -> Answer:
    """Stop: entries are skipped and working ones canceled; exits go. Only a person lifts it."""
    return _turn(SwitchKind.HALTED, executor, who, why)


def resume(executor: Whose, who: Who, why: Why) -> Answer:
    """Lift every switch of the account, a limit's halt too: entries trade again."""
    with record_now() as (settings, record):
        stands = [Switches(record).resume(name, by=_by(who), why=why) for name in _names(settings, executor)]
    return {"switches": [SwitchStatusView.of(stand).to_json() for stand in stands]}


def _turn(kind: SwitchKind, executor: str, who: str, why: str) -> Answer:
    with record_now() as (settings, record):
        stands = [Switches(record).turn(name, kind, by=_by(who), why=why) for name in _names(settings, executor)]
    return {"switches": [SwitchStatusView.of(stand).to_json() for stand in stands]}


def _names(settings: Settings, executor: str) -> list[str]:
    every = executor == _ALL
    return names_of(settings, None if every else executor, every=every)


def _by(who: str) -> str:
    """Return who is kept: the name is the assistant's word, the login is ours."""
    return f"{who} through mcp of {me()}"


OPERATING: tuple[Callable[..., Answer], ...] = (requeue, discard, pause, resume, halt)
