"""`POST /api/v1/trading/execute`: send a signal and wait for its outcome; `GET /api/v1/trading/status`."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from pipeline.entrypoints.web.api.accounts import trading_status
from pipeline.entrypoints.web.api.answers import OutcomeAnswer, TradingStatus
from pipeline.entrypoints.web.api.auth import holder_of, opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ErrorAnswer
from pipeline.entrypoints.web.api.outcomes import Outcomes, Rows, are_decided
from pipeline.entrypoints.web.api.parameters import Digits, Executor
from pipeline.entrypoints.web.api.signal_body import SIGNAL_BODY, receive
from pipeline.intake.intake import Recorded
from pipeline.model.states import State
from pipeline.operations.tokens import Scope
from pipeline.store.rows import ExecutionRow

Timeout = Annotated[
    float, Digits, Query(ge=0, le=60, allow_inf_nan=False, description="Seconds to wait for the outcome at most.")
]


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["trading"], responses=COMMON)
    _add_execute(routes, context)

    @routes.get("/api/v1/trading/status", dependencies=[opened_by(context.gate, Scope.READ)])
    def status() -> TradingStatus:
        """Show whether each executor trades, the switches that stop it, its account and its open work."""
        return trading_status(context)

    return routes


def _add_execute(routes: APIRouter, context: WebContext) -> None:
    outcomes = Outcomes(context.record)

    @routes.post(
        "/api/v1/trading/execute",
        response_description="It is decided: see `success` and `reason`.",
        dependencies=[opened_by(context.gate, Scope.SIGNAL)],
        responses={
            202: {"model": OutcomeAnswer, "description": "It is recorded and not decided yet."},
            409: {"model": ErrorAnswer, "description": "The source_id was used for another signal."},
        },
        openapi_extra=SIGNAL_BODY,
    )
    async def execute(
        request: Request,
        response: Response,
        *,
        executor: Executor = None,
        timeout: Timeout = 10.0,  # noqa: ASYNC109 -- the query's own name
    ) -> OutcomeAnswer:
        """Record one signal and wait for its outcome.

        With `executor`, the request waits for the decision of this executor only, and `success`, `order_id`, `status`
        and `reason` are about it. Without `executor`, the request waits for all decisions, and these fields are about
        the first executor that did not skip the signal; if all skipped it, about the first. `executors` in the signal
        lists the executors that may trade it. After 503 the signal is perhaps not recorded. After 503 or a lost
        answer, send it again with the same `source_id`: the answer is about the same signal.
        """
        body, holder = await request.body(), holder_of(request)
        recorded = await run_in_threadpool(receive, context, body, holder, executor_id=executor)
        rows = await outcomes.of(recorded, executor_id=executor, timeout_s=timeout)
        response.status_code = 200 if are_decided(rows, executor) else 202
        return outcome_of(recorded, rows, executor)


def outcome_of(recorded: Recorded, rows: Rows, executor_id: str | None) -> OutcomeAnswer:
    """Return the outcome at *executor_id*; without it, at the first executor that did not skip, else at the first."""
    shown = _shown(rows, executor_id)
    return OutcomeAnswer.model_validate(
        {
            "success": shown is not None and shown.order_id is not None and shown.state is not State.REJECTED,
            "order_id": None if shown is None else shown.order_id,
            "executor_id": executor_id if shown is None else shown.executor_id,
            "status": None if shown is None else shown.state,
            "reason": "it was recorded before this executor was configured" if shown is None else shown.reason,
            "signal_id": recorded.signal_id,
            "executions": rows,
        }
    )


def _shown(rows: Rows, executor_id: str | None) -> ExecutionRow | None:
    if executor_id is not None:
        return next((row for row in rows if row.executor_id == executor_id), None)
    # An executor that skipped the signal says least about its outcome.
    return next((row for row in rows if row.state is not State.SKIPPED), next(iter(rows), None))
