"""`GET /api/v1/executions` and `/api/v1/execution/…`: executions, rates, reasons and accounts."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from pipeline.entrypoints.web.api.accounts import account_states
from pipeline.entrypoints.web.api.answers import ExecutionMetrics, ReasonsAnswer
from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON
from pipeline.entrypoints.web.api.parameters import Cursor, Executor, Hours, Limit, Since, Symbol, hours_ago, page
from pipeline.model.states import State
from pipeline.operations.tokens import Scope
from pipeline.views import lists
from pipeline.views.account_schemas import AccountState
from pipeline.views.counts import open_counts, reason_counts, reason_sums
from pipeline.views.report import report
from pipeline.views.schemas import ExecutionView, Page


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["executions"], dependencies=[opened_by(context.gate, Scope.READ)], responses=COMMON)
    _add_list(routes, context)
    _add_counts(routes, context)

    @routes.get("/api/v1/execution/account-states")
    def states() -> dict[str, AccountState]:
        """Show each executor's account as last read, and how much of its limits is left."""
        return account_states(context)

    return routes


def _add_list(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/executions")
    def executions(
        *,
        signal: UUID | None = None,
        status: State | None = None,
        executor: Executor = None,
        symbol: Symbol = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ExecutionView]:
        """List executions, newest first."""
        wanted: dict[str, Any] = {"signal_id": signal, "state": status, "executor_id": executor, "symbol": symbol}
        return page(lambda: lists.executions(context.record, since=since, limit=limit, cursor=cursor, **wanted))


def _add_counts(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/execution/metrics")
    def metrics(*, hours: Hours = 24) -> ExecutionMetrics:
        """Count the executions of the last hours' signals as `tradewire report` does, and the work that is open now.

        `execution_rate` is executions with a broker's order id / decided executions that no rule skipped. It is null
        if there were none, and if the counts cover several modes: rates of different modes are never combined.
        """
        since = hours_ago(hours)
        return ExecutionMetrics(
            hours=hours,
            since=since,
            timestamp=datetime.now(UTC),
            **dict(report(context.record, since=since)),
            executors=open_counts(context.record),
        )

    @routes.get("/api/v1/execution/rejection-reasons")
    def rejection_reasons(*, hours: Hours = 24) -> ReasonsAnswer:
        """Count why executions of the last hours ended in another state than filled, by reason code and executor."""
        since = hours_ago(hours)
        items = reason_counts(context.record, since=since)
        return ReasonsAnswer(
            hours=hours, since=since, timestamp=datetime.now(UTC), reasons=reason_sums(items), items=items
        )
