"""`GET /api/v1/signals…`: signals with their executions, and one signal's history; `/api/v1/refusals`."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from pipeline.entrypoints.web.api.answers import SignalStats
from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ApiError, ErrorAnswer
from pipeline.entrypoints.web.api.parameters import (
    Cursor,
    Executor,
    Hours,
    Limit,
    Name,
    Side,
    Since,
    Symbol,
    hours_ago,
    page,
)
from pipeline.model.errors import NotPossible
from pipeline.operations.tokens import Scope
from pipeline.views import lists
from pipeline.views.counts import signal_counts
from pipeline.views.history import signal_history
from pipeline.views.history_schemas import SignalHistory
from pipeline.views.schemas import ListedSignal, Page, RefusalView


def router(context: WebContext) -> APIRouter:
    """Return the routes. The fixed paths come before the path that takes an id."""
    reading = [opened_by(context.gate, Scope.READ)]
    routes = APIRouter(tags=["signals"], dependencies=reading, responses=COMMON)
    _add_lists(routes, context)
    _add_history(routes, context)
    _add_refusals(routes, context)
    return routes


def _add_lists(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/signals")
    def signals(
        *,
        symbol: Symbol = None,
        action: Side = None,
        source: Name = None,
        executor: Executor = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ListedSignal]:
        """List signals with their executions, newest first."""
        wanted: dict[str, Any] = {"symbol": symbol, "action": action, "source": source, "executor_id": executor}
        return page(lambda: lists.signals(context.record, since=since, limit=limit, cursor=cursor, **wanted))

    @routes.get("/api/v1/signals/latest")
    def latest(*, symbol: Symbol = None, limit: Limit = 20) -> list[ListedSignal]:
        """List the newest signals with their executions, without paging."""
        return lists.signals(context.record, symbol=symbol, limit=limit).items

    @routes.get("/api/v1/signals/stats")
    def stats(*, hours: Hours = 24) -> SignalStats:
        """Count the signals of the last hours."""
        return SignalStats(hours=hours, **dict(signal_counts(context.record, since=hours_ago(hours))))


def _add_history(routes: APIRouter, context: WebContext) -> None:
    @routes.get(
        "/api/v1/signals/{signal_id}",
        response_model_exclude_unset=True,
        responses={404: {"model": ErrorAnswer, "description": "There is no such signal and no such execution."}},
    )
    def signal(signal_id: UUID) -> SignalHistory:
        """Show one signal's whole history at every executor, by the signal's id or by an execution's."""
        try:
            return signal_history(context.record, signal_id, executors=context.executors)
        except NotPossible as error:
            raise ApiError(404, "not_found", str(error)) from None


def _add_refusals(routes: APIRouter, context: WebContext) -> None:
    @routes.get("/api/v1/refusals")
    def refusals(
        *, source: Name = None, code: Name = None, since: Since = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[RefusalView]:
        """List the input that was refused because it was not a signal, newest first, with the reason."""
        return page(
            lambda: lists.refusals(context.record, source=source, code=code, since=since, limit=limit, cursor=cursor)
        )
