"""The market's hours for one executor: its broker's clock carried forward, and its calendar, kept in the record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.snapshot import Snapshot
from pipeline.model.account import MarketSession
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.snapshots import Snapshots
from workers.brokers.protocol import Broker
from workers.rules.market_hours import Market, by_calendar, by_clock

log = structlog.get_logger(__name__)

#: The calendar is read anew once a day.
CALENDAR_KEPT = timedelta(days=1)
_BACK, _AHEAD = timedelta(days=7), timedelta(days=14)
# No market is closed for longer in a row.
_LONGEST_CLOSED = timedelta(days=5)
# The record is asked again after this; a broker whose calendar could not be read, too.
_LOOK_AGAIN_S, _TRY_AGAIN_S = 600.0, 30.0


def market_at(snapshot: Snapshot, now: datetime, sessions: tuple[MarketSession, ...]) -> Market | None:
    """Return the hours at *now* (the record's clock); None: the clock could not be read, or may have moved on."""
    return None if snapshot.clock is None else by_clock(snapshot.clock, now, sessions)


def calendar_at(snapshot: Snapshot, now: datetime, sessions: tuple[MarketSession, ...]) -> Market | None:
    """Return the hours that the calendar has for *now*: enough to tell ages, not to send orders."""
    return by_calendar(snapshot.last_clock, now, sessions)


def seems_open(record: Record, snapshots: Snapshots) -> bool:
    """Say whether the market is open by the last reading of the clock, however old; its bells are minded.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    reading = snapshots.last_clock()
    row = record.run(lambda connection: connection.execute(sql("accounts", "now")).fetchone())
    market = None if reading is None or row is None else by_clock(reading, row["now"], ())
    return market is not None and market.is_open


def was_held_for_open(record: Record, execution_id: UUID) -> bool:
    """Say whether an execution has waited for the market to open.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"execution_id": execution_id}
    row = record.run(lambda connection: connection.execute(sql("calendar", "was_held_for_open"), key).fetchone())
    return row is not None and row["held"]


class Calendar:
    """The regular sessions of one executor's broker: read once a day by whoever needs them first, shared by all."""

    def __init__(self, record: Record, executor: ExecutorSettings, broker: Broker) -> None:
        self._record = record
        self._executor = executor
        self._broker = broker
        self._kept: tuple[MarketSession, ...] = ()
        self._kept_for: date | None = None
        self._kept_until = 0.0

    def around(self, at: datetime) -> tuple[MarketSession, ...]:
        """Return the sessions from a week before *at* to two weeks after; empty when they cannot be read.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        day = at.astimezone(UTC).date()
        if day != self._kept_for or time.monotonic() >= self._kept_until:
            self._kept, kept_s = self._look(day - _BACK, day + _AHEAD)
            self._kept_for, self._kept_until = day, time.monotonic() + kept_s
        return self._kept

    def known(self, at: datetime) -> tuple[MarketSession, ...]:
        """Return what the record has of the sessions around *at*, asking no broker.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        day = at.astimezone(UTC).date()
        return self._kept if day == self._kept_for else self._recorded(day - _BACK, day + _AHEAD)[0]

    def _look(self, first: date, last: date) -> tuple[tuple[MarketSession, ...], float]:
        """Return the sessions, and for how many seconds to be content with them."""
        known, fresh = self._recorded(first, last)
        if fresh:
            return known, _LOOK_AGAIN_S
        try:
            read = tuple(self._broker.calendar(first, last))
        except (BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable) as error:
            log.debug("calendar.failed", executor_id=self._executor.id, error=str(error))
            return known, _TRY_AGAIN_S
        self._record.run(lambda connection: _save(connection, self._executor.broker, first, last, read))
        return read, _LOOK_AGAIN_S

    def _recorded(self, first: date, last: date) -> tuple[tuple[MarketSession, ...], bool]:
        """Return what the record has, and whether it was read of late and is all of it."""
        key = {"calendar": self._executor.broker, "first": first, "last": last, "kept": CALENDAR_KEPT}
        rows = self._record.run(lambda connection: connection.execute(sql("calendar", "sessions"), key).fetchall())
        known = tuple(MarketSession(date=row["day"], opens=row["opens_at"], closes=row["closes_at"]) for row in rows)
        return known, _covers(known, first, last) and all(row["fresh"] for row in rows)


def _covers(sessions: Sequence[MarketSession], first: date, last: date) -> bool:
    return bool(
        sessions and sessions[0].date <= first + _LONGEST_CLOSED and sessions[-1].date >= last - _LONGEST_CLOSED
    )


def _save(
    connection: Connection[DictRow], calendar: str, first: date, last: date, sessions: Sequence[MarketSession]
) -> None:
    key = {"calendar": calendar}
    connection.execute(sql("calendar", "clear_sessions"), key | {"first": first, "last": last})
    for each in sessions:
        values = key | {"day": each.date, "opens_at": each.opens, "closes_at": each.closes}
        connection.execute(sql("calendar", "save_session"), values)
