"""Set switches, and requeue or discard dead letters. Every request gives a reason, which the record keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from pipeline.accounts.switches import Switches, SwitchStatus
from pipeline.entrypoints.web.api.answers import DeadLetterList, LossLimitUse, SwitchAnswer
from pipeline.entrypoints.web.api.auth import by, opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ApiError, ErrorAnswer
from pipeline.entrypoints.web.api.parameters import Digits, Executor
from pipeline.model.errors import NotPossible
from pipeline.model.switches import SwitchKind
from pipeline.operations.tokens import Scope
from pipeline.store.record import Record
from pipeline.views.account_schemas import SwitchStatusView
from pipeline.views.lists import execution
from pipeline.views.schemas import DeadLetterView, ExecutionView

Why = Annotated[
    str,
    Field(
        min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]*[^\s\x00-\x1f][^\x00-\x1f]*$", examples=["news at 14:00"]
    ),
]


class Turn(StrEnum):
    """An action of an operator on an executor's account."""

    #: Hold entries until `resume`; exits are sent.
    PAUSE = "pause"
    #: Lift every switch.
    RESUME = "resume"
    #: Skip entries and cancel working entries; exits are sent.
    REDUCE = "reduce"
    #: As REDUCE, and only a person lifts it.
    HALT = "halt"
    #: Halt, cancel every order and close every position, again and again until the account is flat.
    FLATTEN = "flatten"


_KINDS = {
    Turn.PAUSE: SwitchKind.PAUSED,
    Turn.REDUCE: SwitchKind.REDUCING,
    Turn.HALT: SwitchKind.HALTED,
    Turn.FLATTEN: SwitchKind.HALTED,
}


class Because(BaseModel):
    """The reason, which is kept with the token's name."""

    model_config = ConfigDict(extra="forbid")

    why: Why


class RequeueBecause(Because):
    """The reason, and whether to send an entry even if it is too old."""

    accept_age: bool = False


_MISSING: dict[int | str, Any] = {404: {"model": ErrorAnswer, "description": "There is none of that name or id."}}
_NOT_NOW: dict[int | str, Any] = {409: {"model": ErrorAnswer, "description": "It is not a dead letter, or no longer."}}


def apply_turn(record: Record, executor_id: str, turn: Turn, *, by: str, why: str) -> SwitchStatus:
    """Set a switch of the executor's account, or lift all of them; return the switches that are set afterwards.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    switches = Switches(record)
    if turn is Turn.RESUME:
        return switches.resume(executor_id, by=by, why=why)
    return switches.turn(executor_id, _KINDS[turn], flatten=turn is Turn.FLATTEN, by=by, why=why)


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["operating"], responses=COMMON)
    _add_switches(routes, context)
    _add_list(routes, context)
    _add_letters(routes, context)
    return routes


def _add_switches(routes: APIRouter, context: WebContext) -> None:
    @routes.post(
        "/api/v1/executors/{executor_id}/{turn}",
        dependencies=[opened_by(context.gate, Scope.OPERATE)],
        responses=_MISSING,
    )
    def turn_switch(
        request: Request, executor_id: Annotated[str, Path()], turn: Turn, because: Because
    ) -> SwitchAnswer:
        """Pause, resume, reduce, halt or flatten one executor. `GET /api/v1/trading/status` shows the progress."""
        return _turned(context, executor_id, turn, by=by(request), why=because.why)


def _add_list(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/dead-letters", dependencies=[opened_by(context.gate, Scope.READ)])
    def dead_letters(
        *, executor: Executor = None, limit: Annotated[int, Digits, Query(ge=1, le=1000)] = 100
    ) -> DeadLetterList:
        """List the open dead letters, oldest first."""
        dead_letters = context.dead_letters.open(executor, limit=limit + 1)
        items = [DeadLetterView.model_validate(dead_letter) for dead_letter in dead_letters[:limit]]
        return DeadLetterList(items=items, limit=limit, has_more=len(dead_letters) > limit)


def _add_letters(routes: APIRouter, context: WebContext) -> None:
    @routes.post(
        "/api/v1/dead-letters/{execution_id}/requeue",
        dependencies=[opened_by(context.gate, Scope.OPERATE)],
        responses=_MISSING | _NOT_NOW,
    )
    def requeue(request: Request, execution_id: UUID, because: RequeueBecause) -> ExecutionView:
        """Requeue a dead letter. An order that may be at the broker is looked up before anything is sent."""
        _answer_of(context, execution_id)
        with _possible():
            context.dead_letters.requeue(execution_id, by=by(request), why=because.why, accept_age=because.accept_age)
        return _answer_of(context, execution_id)

    @routes.post(
        "/api/v1/dead-letters/{execution_id}/discard",
        dependencies=[opened_by(context.gate, Scope.OPERATE)],
        responses=_MISSING | _NOT_NOW,
    )
    def discard(request: Request, execution_id: UUID, because: Because) -> ExecutionView:
        """Close a dead letter for good. Nothing is sent."""
        _answer_of(context, execution_id)
        with _possible():
            context.dead_letters.discard(execution_id, by=by(request), why=because.why)
        return _answer_of(context, execution_id)


def _answer_of(context: WebContext, execution_id: UUID) -> ExecutionView:
    row = execution(context.record, execution_id)
    if row is None:
        raise ApiError(404, "not_found", f"there is no execution {execution_id}")
    return ExecutionView.model_validate(row)


@contextmanager
def _possible() -> Iterator[None]:
    try:
        yield
    except NotPossible as error:
        raise ApiError(409, "not_possible", str(error)) from None


def _turned(context: WebContext, executor_id: str, turn: Turn, *, by: str, why: str) -> SwitchAnswer:
    executor = context.executors.get(executor_id)
    if executor is None:
        raise ApiError(404, "not_found", f"there is no executor of that name; there is {', '.join(context.executors)}")
    status = apply_turn(context.record, executor_id, turn, by=by, why=why)
    over = [LossLimitUse.model_validate(use) for use in Switches(context.record).over(executor)]
    return SwitchAnswer(**dict(SwitchStatusView.of(status)), still_over=over)
