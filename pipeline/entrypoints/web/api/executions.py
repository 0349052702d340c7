"""`GET /api/v1/executions` and `/api/v1/execution/…`: each execution, rates, reasons, accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from pipeline.entrypoints.web.api.accounts import account_states
from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.count_schemas import AccountState, MetricsAnswer, ReasonsAnswer
from pipeline.entrypoints.web.api.errors import COMMON
from pipeline.entrypoints.web.api.parameters import Cursor, Executor, Hours, Limit, Since, Symbol, hours_ago, page
from pipeline.entrypoints.web.api.schemas import ExecutionPage
from pipeline.model.json_values import time_json
from pipeline.model.states import State
from pipeline.operations.tokens import Scope
from pipeline.views import lists
from pipeline.views.counts import open_counts, reason_counts
from pipeline.views.report import report


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["executions"], dependencies=[opened_by(context.gate, Scope.READ)], responses=COMMON)

    @routes.get("/api/v1/executions", response_model=ExecutionPage)
    def executions(
        *,
        signal: UUID | None = None,
        status: State | None = None,
        executor: Executor = None,
        symbol: Symbol = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        """List executions, newest first."""
        wanted: dict[str, Any] = {"signal_id": signal, "state": status, "executor_id": executor, "symbol": symbol}
        return page(lambda: lists.executions(context.record, since=since, limit=limit, cursor=cursor, **wanted))

    @routes.get("/api/v1/execution/metrics", response_model=MetricsAnswer)
    def metrics(*, hours: Hours = 24) -> Any:
        """Count what came of the last hours' signals: what `tradewire report` counts, and what is open now.

        `execution_rate` is executions with a broker's order id / decided executions that no rule skipped; null when
        there are none, and null over several modes, which are never added up.
        """
        since = hours_ago(hours)
        head = {"hours": hours, "since": time_json(since), "timestamp": time_json(datetime.now(UTC))}
        return JSONResponse(head | report(context.record, since=since) | {"executors": open_counts(context.record)})

    @routes.get("/api/v1/execution/rejection-reasons", response_model=ReasonsAnswer)
    def rejection_reasons(*, hours: Hours = 24) -> Any:
        """Count why executions of the last hours came to nothing, by reason code and by executor."""
        return JSONResponse({"hours": hours} | reason_counts(context.record, since=hours_ago(hours)))

    @routes.get("/api/v1/execution/account-states", response_model=dict[str, AccountState])
    def states() -> Any:
        """Say what was last read of each executor's account, and what is left of its limits."""
        return JSONResponse(account_states(context))

    return routes
