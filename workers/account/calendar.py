"""The market's hours for one executor: its broker's clock, carried forward to now, and its broker's calendar."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.snapshot import Snapshot
from pipeline.model.account import MarketSession
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.snapshots import Snapshots
from workers.brokers.protocol import Broker
from workers.rules.market_hours import Market, by_clock

log = structlog.get_logger(__name__)

#: The calendar is read again once a day.
CALENDAR_KEPT = timedelta(days=1)
_BACK, _AHEAD = timedelta(days=7), timedelta(days=14)
# No market stays closed for longer than this.
_LONGEST_CLOSED = timedelta(days=5)
# Seconds until the record is read again, and until the broker is read again after a failure.
_READ_AGAIN_S, _TRY_AGAIN_S = 600.0, 30.0


def market_at(snapshot: Snapshot, now: datetime, sessions: tuple[MarketSession, ...]) -> Market | None:
    """Return the hours at *now*, a time of the record.

    None: the snapshot has no reading of the broker's clock, or the next opening that the reading names is past.
    """
    return None if snapshot.clock is None else by_clock(snapshot.clock, now, sessions)


def seems_open(record: Record, snapshots: Snapshots) -> bool:
    """Return whether the market is open by the last reading of the clock, however old it is.

    If it was open, it counts as open until the closing that the reading names. After that, or if it was closed, it
    counts as closed until a new reading, because only that confirms an opening.
    """
    reading = snapshots.last_clock()
    now = record.one(datetime, sql("accounts", "now"))
    market = None if reading is None else by_clock(reading, now, ())
    return market is not None and market.is_open


def was_held_for_open(record: Record, execution_id: UUID) -> bool:
    """Return whether the execution has been held at least once because the market was closed."""
    return record.one(bool, sql("calendar", "was_held_for_open"), {"execution_id": execution_id})


@dataclass(frozen=True, kw_only=True)
class _RecordedSession:
    day: date
    opens_at: datetime
    closes_at: datetime
    #: Whether the session was read at the broker within the last day.
    fresh: bool


class Calendar:
    """The regular sessions of one executor's broker. They are read once a day and shared in the record.

    Both methods raise `RecordUnavailable` while PostgreSQL is away.
    """

    def __init__(self, record: Record, executor: ExecutorSettings, broker: Broker) -> None:
        self._record = record
        self._executor = executor
        self._broker = broker
        self._kept: tuple[MarketSession, ...] = ()
        self._kept_for: date | None = None
        self._kept_until = 0.0

    def around(self, at: datetime) -> tuple[MarketSession, ...]:
        """Return the sessions from a week before *at* to two weeks after.

        If the broker cannot be read, these are the recorded ones: some may be missing, or all.
        """
        day = at.astimezone(UTC).date()
        if day != self._kept_for or time.monotonic() >= self._kept_until:
            self._kept, kept_s = self._read(day - _BACK, day + _AHEAD)
            self._kept_for, self._kept_until = day, time.monotonic() + kept_s
        return self._kept

    def known(self, at: datetime) -> tuple[MarketSession, ...]:
        """Return the recorded sessions around *at*; the broker is not read."""
        day = at.astimezone(UTC).date()
        return self._kept if day == self._kept_for else self._recorded(day - _BACK, day + _AHEAD)[0]

    def _read(self, first: date, last: date) -> tuple[tuple[MarketSession, ...], float]:
        """Return the sessions, and the seconds for which to keep them."""
        known, fresh = self._recorded(first, last)
        if fresh:
            return known, _READ_AGAIN_S
        try:
            read = tuple(self._broker.calendar(first, last))
        except (BrokerUnavailable, BrokerRefusesAccount, BrokerUnreadable) as error:
            log.debug("calendar.failed", executor_id=self._executor.id, error=str(error))
            return known, _TRY_AGAIN_S
        self._record.run(lambda connection: _save(connection, self._executor.broker, first, last, read))
        return read, _READ_AGAIN_S

    def _recorded(self, first: date, last: date) -> tuple[tuple[MarketSession, ...], bool]:
        """Return the recorded sessions, and whether they are complete and were read within the last day."""
        values = {"calendar": self._executor.broker, "first": first, "last": last, "kept": CALENDAR_KEPT}
        rows = self._record.all(_RecordedSession, sql("calendar", "sessions"), values)
        known = tuple(MarketSession(date=row.day, opens=row.opens_at, closes=row.closes_at) for row in rows)
        return known, _covers(known, first, last) and all(row.fresh for row in rows)


def _covers(sessions: Sequence[MarketSession], first: date, last: date) -> bool:
    return bool(
        sessions and sessions[0].date <= first + _LONGEST_CLOSED and sessions[-1].date >= last - _LONGEST_CLOSED
    )


def _save(
    connection: Connection[DictRow], calendar: str, first: date, last: date, sessions: Sequence[MarketSession]
) -> None:
    key = {"calendar": calendar}
    execute(connection, sql("calendar", "clear_sessions"), key | {"first": first, "last": last})
    for each in sessions:
        values = key | {"day": each.date, "opens_at": each.opens, "closes_at": each.closes}
        execute(connection, sql("calendar", "save_session"), values)
