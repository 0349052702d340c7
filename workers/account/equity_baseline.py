"""Keep an account's day and peak with every reading of it, whoever read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.account import Account, Position
from pipeline.store.statements import sql
from workers.rules.baselines import DayStart, EquityReading, first_start, next_start, reading_of
from workers.rules.trading_day import Day, trading_day

log = structlog.get_logger(__name__)

# The market whose close a broker's `last_equity` is of.
_NEW_YORK = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)
# No market is closed for longer in a row: an older session is not the last one, but the last one that we know of.
_LONGEST_CLOSED = timedelta(days=5)
_SATURDAY = 5


def note_reading(
    connection: Connection[DictRow],
    executor: ExecutorSettings,
    account: Account,
    positions: Sequence[Position],
    taken_at: datetime,
) -> None:
    """Note what the account is worth at *taken_at*, in the caller's transaction, and begin its day if that is new.

    The first reading ever begins a day with the broker's figure of its last close. A reading that is older than the
    last one changes nothing.
    """
    account_key = {"holder": account.number}
    reading, hours = reading_of(account, positions, taken_at), executor.hours
    day = trading_day(taken_at, hours.time_zone, hours.day_starts_at)
    row = connection.execute(sql("equity_monitor", "watched"), account_key).fetchone()
    start = _new_day(connection, row, day, reading, account)
    values = account_key | {
        "executor_id": executor.id,
        "equity": reading.equity,
        "balance": reading.balance,
        "at": reading.at,
    }
    if start is not None:
        _begin(connection, values, start, first=row is None)
    if row is not None:
        connection.execute(sql("equity_monitor", "note"), values)


def _new_day(
    connection: Connection[DictRow], row: DictRow | None, day: Day, reading: EquityReading, account: Account
) -> DayStart | None:
    """Return what *day* begins with; None when it is the one that is watched already, or an earlier one."""
    if row is None:
        closed_at = _closed_at(connection, reading.at)
        return first_start(day, reading, last_equity=account.last_equity, closed_at=closed_at)
    if day.date <= row["day"] or reading.at <= row["read_at"]:
        return None
    before = EquityReading(at=row["read_at"], equity=row["equity"], balance=row["balance"])
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
        connection.execute(sql("equity_monitor", "begin_watch"), begun)
    new = connection.execute(sql("equity_monitor", "begin_day"), begun).fetchone()
    connection.execute(sql("equity_monitor", "turn_day"), begun)
    if new is not None:
        facts = {"day": start.day.date.isoformat(), "equity": str(start.equity), "balance": str(start.balance)}
        whose = {"executor_id": values["executor_id"], "account": values["holder"]}
        log.info("day.began", **whose, **facts, figures_from=start.origin.value, as_of=start.as_of.isoformat())


def _closed_at(connection: Connection[DictRow], at: datetime) -> datetime:
    """Return the end of the last day on which the market closed before *at*'s day: transfers tell days only."""
    today = at.astimezone(_NEW_YORK).date()
    row = connection.execute(sql("equity_monitor", "last_close_day"), {"today": today}).fetchone()
    day = row["day"] if row else None
    if day is None or today - day > _LONGEST_CLOSED:
        day = today - _DAY
        while day.weekday() >= _SATURDAY:
            day -= _DAY
    return datetime.combine(day + _DAY, time(), _NEW_YORK).astimezone(UTC)
