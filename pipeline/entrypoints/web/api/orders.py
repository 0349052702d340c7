"""Orders by hand: `GET /api/v1/orders`, and the routes that cancel an order or close a position."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from pipeline.entrypoints.web.api.answers import OutcomeAnswer
from pipeline.entrypoints.web.api.auth import by, opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ApiError, ErrorAnswer
from pipeline.entrypoints.web.api.operating import Why
from pipeline.entrypoints.web.api.outcomes import Outcomes, are_decided
from pipeline.entrypoints.web.api.parameters import Executor
from pipeline.entrypoints.web.api.trading import Timeout, outcome_of
from pipeline.intake.intake import Intake, Recorded
from pipeline.model.errors import InvalidSignal, NotPossible, SourceIdConflict
from pipeline.model.reasons import Code
from pipeline.model.signals import Positive, Share
from pipeline.operations.cancel_order import not_one, orders_named, request_cancel
from pipeline.operations.close_position import record_close
from pipeline.operations.tokens import Scope
from pipeline.views.orders import CancelView, OpenOrderView, missing_processes, open_orders

_PRINTABLE = r"^[^\x00-\x1f]+$"
_MISSING: dict[int | str, Any] = {404: {"model": ErrorAnswer, "description": "There is none of that name or id."}}
_NOT_NOW: dict[int | str, Any] = {
    409: {"model": ErrorAnswer, "description": "The order is not open, or a flatten would send the exit again."}
}
_NOTHING: dict[int | str, Any] = {
    202: {"model": OutcomeAnswer, "description": "It is recorded and not decided yet."},
    409: {"model": ErrorAnswer, "description": "There is no position, or the source_id was used for another close."},
}


class CancelBody(BaseModel):
    """Why the order is canceled."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[Why | None, Field(description="Required for an exit or a stop order.")] = None


class CloseBody(BaseModel):
    """The part of a position to close, and the worst price."""

    model_config = ConfigDict(extra="forbid")

    percent: Annotated[
        Share | None, Field(description="The part of the position, rounded down; all of it without.")
    ] = None
    limit: Annotated[Positive | None, Field(description="The worst price; a market order without.")] = None
    why: Why | None = None
    source_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=150,
            pattern=_PRINTABLE,
            description="Your own id. A second request with it closes nothing.",
        ),
    ] = None


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["orders"], responses=COMMON)
    _add_orders(routes, context)
    _add_close(routes, context)
    return routes


def _add_orders(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/orders", dependencies=[opened_by(context.gate, Scope.READ)])
    def orders(*, executor: Executor = None) -> list[OpenOrderView]:
        """List tradewire's open orders, oldest first. Orders that others placed at the broker are not shown."""
        return open_orders(context.record, executor_id=executor)

    @routes.post(
        "/api/v1/orders/{order_id}/cancel",
        status_code=202,
        response_description="The request is recorded, and the keeper sends it until the order has ended.",
        dependencies=[opened_by(context.gate, Scope.OPERATE)],
        responses=_MISSING | _NOT_NOW,
    )
    def cancel(
        request: Request,
        order_id: Annotated[
            str,
            Path(
                max_length=200,
                pattern=_PRINTABLE,
                description="The broker's id, the client_order_id, or the execution's id.",
            ),
        ],
        body: CancelBody | None = None,
    ) -> CancelView:
        """Request the cancel of an order. A second request changes nothing. `GET /api/v1/orders` shows what is open."""
        return _canceled(context, order_id, by=by(request), why=None if body is None else body.why)


def _add_close(routes: APIRouter, context: WebContext) -> None:
    outcomes = Outcomes(context.record)

    @routes.post(
        # A coin's symbol may have a slash.
        "/api/v1/positions/{executor_id}/{symbol:path}/close",
        response_description="It is decided: see `success` and `reason`.",
        dependencies=[opened_by(context.gate, Scope.OPERATE)],
        responses=_MISSING | _NOTHING,
    )
    async def close(
        request: Request,
        response: Response,
        executor_id: str,
        symbol: str,
        body: CloseBody | None = None,
        *,
        timeout: Timeout = 10.0,  # noqa: ASYNC109 -- the query's own name
    ) -> OutcomeAnswer:
        """Close the account's position in a symbol, whichever strategy opened it, and wait for the decision.

        With `limit`, the order rests until it is filled, the day ends, or a later exit takes its place. After 503 or a
        lost answer, send it again with the same `source_id`: nothing is closed twice.
        """
        who = by(request)
        recorded = await run_in_threadpool(_closed, context, executor_id, symbol, body or CloseBody(), who)
        rows = await outcomes.of(recorded, executor_id=executor_id, timeout_s=timeout)
        if any(row.reason_code == Code.NO_POSITION for row in rows):
            message = f"{executor_id} holds no {rows[0].symbol}: execution {rows[0].execution_id} was skipped"
            raise ApiError(409, Code.NO_POSITION, message)
        response.status_code = 200 if are_decided(rows, executor_id) else 202
        return outcome_of(recorded, rows, executor_id)


def _canceled(context: WebContext, text: str, *, by: str, why: str | None) -> CancelView:
    found = orders_named(context.record, text)
    if len(found) != 1:
        raise ApiError(404, "not_found", not_one(text, found))
    order = found[0]
    if order.why_it_is_needed and why is None:
        raise ApiError(422, "invalid_request", f"why: is missing: {order} {order.why_it_is_needed}")
    try:
        requested = request_cancel(context.record, order, by=by, why=why)
    except NotPossible as error:
        raise ApiError(409, "not_possible", str(error)) from None
    return CancelView.of(requested, missing_processes(context.record, [("keeper", "keeper")]))


def _closed(context: WebContext, executor_id: str, symbol: str, body: CloseBody, by: str) -> Recorded:
    if executor_id not in context.executors:
        message = f"there is no executor of that name; there is {', '.join(context.executors)}"
        raise ApiError(404, "not_found", message)
    intake = Intake(context.record, context.executors, by=by, why=body.why)
    terms = {"percent": body.percent, "limit": body.limit}
    # Like a signal's, an id is one of its token: two people may number their closes alike.
    source_id = None if body.source_id is None else f"{by.removesuffix('@http')}:{body.source_id}"
    try:
        recorded = record_close(intake, executor_id, symbol, **terms, source_id=source_id)
    except SourceIdConflict as error:
        raise ApiError(409, error.code, str(error)) from None
    except InvalidSignal as error:
        raise ApiError(422, error.code, str(error)) from None
    if not recorded.duplicate:
        context.dispatcher.enqueue(recorded.executions)
    return recorded
