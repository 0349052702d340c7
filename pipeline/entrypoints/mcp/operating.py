"""The tools that act on accounts. The record keeps each action with who and why."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from pipeline.accounts.switches import Switches
from pipeline.entrypoints.mcp.common_args import record_now
from pipeline.intake.intake import Intake
from pipeline.model.errors import NotPossible
from pipeline.model.signals import Positive, Share
from pipeline.model.switches import SwitchKind
from pipeline.operations.cancel_order import not_one, orders_named, request_cancel
from pipeline.operations.close_position import record_close
from pipeline.operations.dead_letters import DeadLetters
from pipeline.startup.arguments import executor_of, id_of, me, names_of
from pipeline.startup.context import executors_for, names_to_stop
from pipeline.views.account_schemas import SwitchStatusView
from pipeline.views.orders import CancelView, missing_processes
from pipeline.views.schemas import RecordedView

Answer = dict[str, Any]
Who = Annotated[str, Field(max_length=100, pattern=r"\S", description="The name of the person who wants this.")]
Why = Annotated[str, Field(max_length=500, pattern=r"\S", description="Why, in the person's words; it is recorded.")]
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


def cancel_order(
    order: Annotated[
        str, Field(description="The broker's id of the order, the client_order_id, or the execution's id.")
    ],
    who: Who,
    why: Why,
) -> Answer:
    """Cancel an open order. Without an exit the position stays open; without a stop order it has no stop.

    `orders` shows when the order is gone.
    """
    with record_now() as (_, record):
        found = orders_named(record, order)
        if len(found) != 1:
            raise NotPossible(not_one(order, found))
        requested = request_cancel(record, found[0], by=_by(who), why=why)
        return {"order": CancelView.of(requested, missing_processes(record, [("keeper", "keeper")])).to_json()}


def close_position(
    executor: Annotated[str, Field(description="The executor's name.")],
    symbol: Annotated[str, Field(description="The symbol, like AAPL or BTC/USD.")],
    who: Who,
    why: Why,
    percent: Annotated[Share | None, Field(description="The part to close; all of it without.")] = None,
    limit: Annotated[Positive | None, Field(description="The worst price; a market order without.")] = None,
    source_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=150,
            description="Your own id. A second call with it closes nothing.",
        ),
    ] = None,
) -> Answer:
    """Close the account's position in a symbol. This trades. `executions` shows the outcome.

    Give a `source_id`, and give the same one when you call it again after a lost answer: nothing is closed twice.
    """
    with record_now() as (settings, record):
        executors = executors_for(settings)
        intake = Intake(record, executors, by=_by(who), why=why)
        # A token has no @ in its name, so this is no id of a close over HTTP.
        own_id = None if source_id is None else f"@mcp:{source_id}"
        name = executor_of(executors, executor).id
        recorded = record_close(intake, name, symbol, percent=percent, limit=limit, source_id=own_id)
    return RecordedView.model_validate(recorded).to_json()


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


OPERATING: tuple[Callable[..., Answer], ...] = (requeue, discard, pause, resume, halt, cancel_order, close_position)
