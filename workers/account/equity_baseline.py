"""Record an account's equity at each reading, its highest equity (the peak), and its equity at each start of a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.account import Account, Position
from pipeline.model.trading_day import Day, trading_day
from pipeline.store.query import execute, fetch_maybe
from pipeline.store.statements import sql
from workers.rules.baselines import DayStart, EquityReading, first_start, next_start, reading_of

log = structlog.get_logger(__name__)

# The time zone of the market to whose last close a broker's `last_equity` refers.
_NEW_YORK = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)
# No market stays closed for longer than this. If the newest recorded session is older, newer ones are missing.
_LONGEST_CLOSED = timedelta(days=5)
_SATURDAY = 5


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """The previous reading of the account."""

    day: date
    read_at: datetime
    equity: Decimal
    balance: Decimal


def note_reading(
    connection: Connection[DictRow],
    executor: ExecutorSettings,
    account: Account,
    positions: Sequence[Position],
    taken_at: datetime,
) -> None:
    """Record the account's equity at *taken_at* in the caller's transaction, and begin a new day if its time has come.

    The account's first reading begins a day with the equity that the broker reports for the last close. A reading that
    is older than the newest recorded one changes nothing.
    """
    account_key = {"holder": account.number}
    reading, hours = reading_of(account, positions, taken_at), executor.hours
    day = trading_day(taken_at, hours.time_zone, hours.day_starts_at)
    watched = fetch_maybe(connection, _Watched, sql("equity_monitor", "watched"), account_key)
    start = _new_day(connection, watched, day, reading, account)
    values = account_key | {
        "executor_id": executor.id,
        "equity": reading.equity,
        "balance": reading.balance,
        "at": reading.at,
    }
    if start is not None:
        _begin(connection, values, start, first=watched is None)
    if watched is not None:
        execute(connection, sql("equity_monitor", "note"), values)


def _new_day(
    connection: Connection[DictRow], watched: _Watched | None, day: Day, reading: EquityReading, account: Account
) -> DayStart | None:
    """Return the figures that *day* begins with; None if it has begun already, or if the reading is not a newer one."""
    if watched is None:
        closed_at = _closed_at(connection, reading.at)
        return first_start(day, reading, last_equity=account.last_equity, closed_at=closed_at)
    if day.date <= watched.day or reading.at <= watched.read_at:
        return None
    before = EquityReading(at=watched.read_at, equity=watched.equity, balance=watched.balance)
    closed_at = _closed_at(connection, reading.at)
    return next_start(day, before, reading, last_equity=account.last_equity, closed_at=closed_at)


def _begin(connection: Connection[DictRow], values: dict[str, Any], start: DayStart, *, first: bool) -> None:
    begun = values | {
        "day": start.day.date,
        "started_at": start.day.started_at,
        "start_equity": start.equity,
        "start_balance": start.balance,
        "start_from": start.origin.value,
        "as_of": start.as_of,
    }
    if first:
        execute(connection, sql("equity_monitor", "begin_watch"), begun)
    new = execute(connection, sql("equity_monitor", "begin_day"), begun) > 0
    execute(connection, sql("equity_monitor", "turn_day"), begun)
    if new:
        facts = {"day": start.day.date.isoformat(), "equity": str(start.equity), "balance": str(start.balance)}
        whose = {"executor_id": values["executor_id"], "account": values["holder"]}
        log.info("day.began", **whose, **facts, figures_from=start.origin.value, as_of=start.as_of.isoformat())


def _closed_at(connection: Connection[DictRow], at: datetime) -> datetime:
    """Return the midnight in New York after the last trading day before the day of *at*.

    It is used in place of the close, because some transfers have only a date: a transfer of the next day counts as
    made after it.
    """
    today = at.astimezone(_NEW_YORK).date()
    day = fetch_maybe(connection, date, sql("equity_monitor", "last_close_day"), {"today": today})
    if day is None or today - day > _LONGEST_CLOSED:
        day = today - _DAY
        while day.weekday() >= _SATURDAY:
            day -= _DAY
    return datetime.combine(day + _DAY, time(), _NEW_YORK).astimezone(UTC)
