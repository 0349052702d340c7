"""`GET /api/v1/positions`, `/trades`, `/pnl`, `/day` and `/findings`: positions, profit and differences."""

from datetime import date

from fastapi import APIRouter

from pipeline.entrypoints.web.api.auth import opened_by
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.entrypoints.web.api.errors import COMMON, ApiError
from pipeline.entrypoints.web.api.parameters import Cursor, Executor, Limit, Since, Symbol, page
from pipeline.operations.tokens import Scope
from pipeline.views.book_schemas import HeldPosition, ProfitView, TradeView
from pipeline.views.day import DayNotBegun, days
from pipeline.views.day_schemas import DayView
from pipeline.views.findings import FindingsView
from pipeline.views.findings import findings as list_findings
from pipeline.views.positions import positions as list_positions
from pipeline.views.profit import By, profit
from pipeline.views.schemas import Page
from pipeline.views.trades import trades as list_trades


def router(context: WebContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["books"], dependencies=[opened_by(context.gate, Scope.READ)], responses=COMMON)

    @routes.get("/api/v1/positions")
    def positions(*, executor: Executor = None) -> list[HeldPosition]:
        """List what each account holds as last read, and what each strategy holds of it by its fills."""
        chosen = [each for each in context.executors.values() if executor in {None, each.id}]
        return list_positions(context.record, chosen)

    @routes.get("/api/v1/trades")
    def trades(
        *,
        executor: Executor = None,
        symbol: Symbol = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[TradeView]:
        """List closed trades, newest first: the part of each entry that one exit closed."""
        wanted = {"executor_id": executor, "symbol": symbol}
        return page(lambda: list_trades(context.record, since=since, limit=limit, cursor=cursor, **wanted))

    @routes.get("/api/v1/pnl")
    def pnl(*, by: By = By.ACCOUNT, executor: Executor = None, since: Since = None) -> list[ProfitView]:
        """Sum up the profit of trades that were closed since a time, and of what is open now."""
        found = profit(context.record, context.executors, by=by, executor_id=executor, since=since)
        return [each.view() for each in found]

    @routes.get("/api/v1/day")
    def day(*, on: date | None = None, executor: Executor = None) -> list[DayView]:
        """Sum up a day at each account: signals, orders, fills, profit, equity, limits and findings."""
        return _days(context, on, executor)

    @routes.get("/api/v1/findings")
    def findings(*, executor: Executor = None) -> FindingsView:
        """List what differs between the accounts and the record: what is open, and what ended in the last hour."""
        return list_findings(context.record, [each for each in context.executors if executor in {None, each}])

    return routes


def _days(context: WebContext, on: date | None, executor: str | None) -> list[DayView]:
    chosen = [each for each in context.executors.values() if executor in {None, each.id}]
    try:
        return days(context.record, chosen, on=on)
    except DayNotBegun as error:
        raise ApiError(422, "invalid_request", str(error)) from None
