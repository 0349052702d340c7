"""Sum up the day of an account: signals, orders, fills, profit, equity, limits and findings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.books.settle import settle
from pipeline.model.trading_day import day_start, trading_day
from pipeline.store.query import fetch_all, fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.book_numbers import known, trimmed
from pipeline.views.day_schemas import DaySwitch, DaySymbol, DayView


class DayNotBegun(ValueError):
    """The day lies in the future."""


@dataclass(frozen=True, kw_only=True)
class _Account:
    now: datetime
    account_number: str | None
    taken_at: datetime | None
    equity: Decimal | None


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    state: str | None
    reason_code: str | None
    signals: int
    decided: int


@dataclass(frozen=True, kw_only=True)
class _Trades:
    trades: int
    wins: int
    unknown: int
    realised: Decimal
    fees: Decimal


@dataclass(frozen=True, kw_only=True)
class _Symbol:
    symbol: str
    fills: int
    last_fill: datetime
    before: Decimal
    bought: Decimal
    sold: Decimal

    @property
    def after(self) -> Decimal:
        return self.before + self.bought - self.sold


@dataclass(frozen=True, kw_only=True)
class _Held:
    symbol: str
    quantity: Decimal | None


@dataclass(frozen=True, kw_only=True)
class _Limits:
    start_equity: Decimal | None
    start_from: str | None
    last_equity: Decimal | None
    warned: list[str] | None


@dataclass(frozen=True, kw_only=True)
class _Switch:
    at: datetime
    kind: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class _Counts:
    orders: int
    findings: int
    findings_open: int


@dataclass(frozen=True, kw_only=True)
class _Unrealised:
    unrealised: Decimal | None


def days(record: Record, executors: Sequence[ExecutorSettings], *, on: date | None = None) -> list[DayView]:
    """Return the books of a day at each executor's account; without *on*, of the day that it has now.

    Raises:
        DayNotBegun: the day lies in the future.
        RecordUnavailable: PostgreSQL is away.
    """
    settle(record)
    return [record.run(partial(_day, executor=each, on=on)) for each in executors]


def _day(connection: Connection[DictRow], executor: ExecutorSettings, on: date | None) -> DayView:
    account = fetch_one(connection, _Account, sql("day", "account"), {"executor_id": executor.id})
    zone, starts_at = ZoneInfo(executor.hours.time_zone), executor.hours.day_starts_at
    today = trading_day(account.now, executor.hours.time_zone, starts_at).date
    chosen = today if on is None else on
    if chosen > today:
        raise DayNotBegun(f"{chosen} has not begun at {executor.id}, where it is {today}")
    start, until = (day_start(each, zone, starts_at) for each in (chosen, chosen + timedelta(days=1)))
    values = {
        "executor_id": executor.id,
        "account_number": account.account_number,
        "date": chosen,
        "start": start,
        "until": until,
    }
    counts = fetch_one(connection, _Counts, sql("day", "counts"), values)
    return DayView(
        executor_id=executor.id,
        mode=executor.mode,
        day=chosen,
        started_at=start,
        ends_at=until,
        over=chosen < today,
        switches=[DaySwitch(**vars(each)) for each in fetch_all(connection, _Switch, sql("day", "switches"), values)],
        **_signals(fetch_all(connection, _Outcome, sql("day", "outcomes"), values)),
        **_books(connection, account, values, over=chosen < today),
        **vars(counts),
    )


def _signals(rows: Sequence[_Outcome]) -> dict[str, Any]:
    outcomes, reasons = Counter[str](), Counter[str]()
    for row in rows:
        if row.state is not None:
            outcomes[row.state] += row.signals
        if row.reason_code is not None:
            reasons[row.reason_code] += row.signals
    return {
        "signals": sum(row.signals for row in rows),
        "elsewhere": sum(row.signals for row in rows if row.state is None),
        "outcomes": dict(outcomes),
        "reasons": dict(reasons),
        "decided": sum(row.decided for row in rows),
    }


def _books(
    connection: Connection[DictRow], account: _Account, values: Mapping[str, Any], *, over: bool
) -> dict[str, Any]:
    """Return what the fills, the trades and the equity say. Equity and prices of a day are those of one reading."""
    symbols = fetch_all(connection, _Symbol, sql("day", "symbols"), values)
    trades = fetch_one(connection, _Trades, sql("day", "trades"), values)
    limits = fetch_one(connection, _Limits, sql("day", "limits"), values)
    read_at = account.taken_at if account.taken_at is not None and account.taken_at >= values["start"] else None
    end = limits.last_equity if over else account.equity if read_at is not None else None
    current = not over and read_at is not None and all(each.last_fill <= read_at for each in symbols)
    change = None if end is None or limits.start_equity is None else end - limits.start_equity
    open_profit = _unrealised_change(connection, symbols, values, current=current, over=over)
    realised = None if trades.unknown else trades.realised
    unexplained = None
    if change is not None and open_profit is not None and realised is not None:
        unexplained = change - realised - open_profit + trades.fees
    return {
        "fills": sum(each.fills for each in symbols),
        "symbols": _symbols(connection, symbols, values, read_at=None if over else read_at),
        "trades": trades.trades,
        "wins": trades.wins,
        "unknown": trades.unknown,
        "realised": known(realised),
        "fees": trimmed(trades.fees),
        "unrealised_change": known(open_profit),
        "start_equity": known(limits.start_equity),
        "end_equity": known(end),
        "equity_change": known(change),
        "unexplained": known(unexplained),
        "limits_warned": limits.warned,
    }


def _unrealised_change(
    connection: Connection[DictRow], symbols: Sequence[_Symbol], values: Mapping[str, Any], *, current: bool, over: bool
) -> Decimal | None:
    """Return the change; None if something was open at a time whose prices the record does not have."""
    if any(each.before for each in symbols):
        return None
    if not any(each.after for each in symbols):
        return Decimal(0) if over or current else None
    if not current:
        return None
    account = {"by": "account", "executor_id": values["executor_id"]}
    rows = fetch_all(connection, _Unrealised, sql("books", "unrealised"), account, prepare=False)
    amounts = [each.unrealised for each in rows if each.unrealised is not None]
    return sum(amounts, Decimal(0)) if rows and len(amounts) == len(rows) else None


def _symbols(
    connection: Connection[DictRow], symbols: Sequence[_Symbol], values: Mapping[str, Any], *, read_at: datetime | None
) -> list[DaySymbol]:
    held: dict[str, Decimal | None] = {}
    if read_at is not None:
        held = {each.symbol: each.quantity for each in fetch_all(connection, _Held, sql("day", "held"), values)}
    zero = Decimal(0)
    found = []
    for each in symbols:
        broker = held.get(each.symbol, zero) if read_at is not None and each.last_fill <= read_at else None
        if each.fills or each.before or broker:
            numbers = {key: trimmed(getattr(each, key)) for key in ("before", "bought", "sold", "after")}
            found.append(DaySymbol(symbol=each.symbol, broker=known(broker), **numbers))
    others = sorted(held.keys() - {each.symbol for each in symbols})
    nothing = {"before": zero, "bought": zero, "sold": zero, "after": zero}
    return [*found, *(DaySymbol(symbol=each, broker=known(held[each]), **nothing) for each in others)]
