"""The account and the market's clock as last read: one reading, shared by all workers of an executor and the keeper."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from config.executors import ExecutorSettings
from pipeline.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers import budget
from workers.brokers.holdings import Account, Clock, Position
from workers.brokers.protocol import Broker
from workers.holder import provisional
from workers.retry import PROBE_EVERY
from workers.rules.hours import ClockReading
from workers.standing import note_reading

log = structlog.get_logger(__name__)

_TIMES = ("timestamp", "next_open", "next_close")
_MONEY = ("equity", "last_equity", "cash", "buying_power", "non_marginable_buying_power")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the account held at *taken_at* (database clock, from before the reading began)."""

    account: Account
    positions: tuple[Position, ...]
    taken_at: datetime
    #: The broker's clock as last read; None when it never was.
    last_clock: ClockReading | None = None

    @property
    def clock(self) -> ClockReading | None:
        """The clock as read with the account or later; None: it could not be read."""
        last = self.last_clock
        return last if last is not None and last.read_at >= self.taken_at else None

    def position(self, symbol: str) -> Position | None:
        """Return the position in *symbol*; None when flat."""
        return next((position for position in self.positions if position.symbol == symbol), None)


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The broker refuses the account; look again in *probe_in*."""

    message: str
    probe_in: timedelta


class Snapshots:
    """Reads and shares the snapshots of one executor."""

    def __init__(self, record: Record, executor: ExecutorSettings, broker: Broker) -> None:
        self._record = record
        self._executor = executor
        self._broker = broker
        self._key = {"executor_id": executor.id}

    def fresh(self, *, within: timedelta | None = None) -> Snapshot | Refused:
        """Return a snapshot at most *within* old (`account_age_s` when not given), reading anew when needed.

        It is read anew when the market has opened or closed since, too.

        Raises:
            BrokerUnavailable: the broker is away, and there is no fresh reading.
            BrokerUnreadable: the broker's answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        age = within if within is not None else timedelta(seconds=self._executor.limits.account_age_s)
        refused = self.refusal()
        if refused is not None:
            return refused
        row = self._record.run(lambda c: c.execute(sql("accounts", "snapshot"), self._key).fetchone())
        if row is not None and row["now"] - row["taken_at"] <= age:
            snapshot = snapshot_of(row)
            if snapshot.clock is None or snapshot.clock.holds(row["now"]):
                return snapshot
        return self.read()

    def last_clock(self) -> ClockReading | None:
        """Return the clock as last read, by anybody and however long ago; None when it never was.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        row = self._record.run(lambda c: c.execute(sql("accounts", "snapshot"), self._key).fetchone())
        return None if row is None else _clock_from(row["clock"])

    def read_clock(self) -> ClockReading:
        """Read the clock alone, and share it.

        Raises:
            BrokerUnavailable: the broker is away.
            BrokerRefusesAccount: it refuses the account.
            BrokerUnreadable: its answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        row = self._record.run(lambda c: c.execute(sql("accounts", "now")).fetchone())
        assert row is not None
        reading = ClockReading(clock=self._broker.clock(), read_at=row["now"])
        values = self._key | {"clock": _clock_json(reading), "read_at": reading.read_at}
        self._record.run(lambda c: c.execute(sql("accounts", "save_clock"), values))
        return reading

    def refusal(self) -> Refused | None:
        """Return the standing refusal of the account, having looked again if a look is due; None: it is accepted.

        Raises:
            BrokerUnavailable: a look was due, and the broker is away.
            BrokerUnreadable: a look was due, and the answer makes no sense.
            RecordUnavailable: PostgreSQL is away.
        """
        row = self._record.run(lambda c: c.execute(sql("accounts", "refusal"), self._key).fetchone())
        if row is None:
            return None
        if row["probe_due"] and self._record.run(
            lambda c: c.execute(sql("accounts", "claim_probe"), self._key | {"every": PROBE_EVERY}).fetchone()
        ):
            answer = self.read()
            return answer if isinstance(answer, Refused) else None
        return Refused(message=row["message"], probe_in=max(row["probe_in"], timedelta(seconds=1)))

    def read(self) -> Snapshot | Refused:
        """Read the account, its positions and the clock at the broker and share them; a clock may be missing."""
        row = self._record.run(lambda c: c.execute(sql("accounts", "now")).fetchone())
        assert row is not None
        taken_at, began = row["now"], time.monotonic()
        try:
            account = self._broker.account()
            positions = tuple(self._broker.positions())
            clock = self._clock(taken_at, began)
        except BrokerRefusesAccount as error:
            return self.refused(str(error))
        pinned = self._executor.account
        if pinned is not None and account.number != pinned:
            return self.refused(f"the keys open account {account.number}, not the pinned {pinned}")
        snapshot = Snapshot(account=account, positions=positions, taken_at=taken_at, last_clock=clock)
        self._share(snapshot)
        return snapshot

    def refused(self, message: str) -> Refused:
        """Write down that the broker refuses the account, said once."""
        row = self._record.run(
            lambda c: c.execute(
                sql("accounts", "refuse"), self._key | {"every": PROBE_EVERY, "message": message[:300]}
            ).fetchone()
        )
        if row is not None and row["new"]:
            log.error("account.refused", executor_id=self._executor.id, says=message[:300])
        return Refused(message=message[:300], probe_in=PROBE_EVERY)

    def _clock(self, taken_at: datetime, began: float) -> ClockReading | None:
        """Read the clock as part of a reading; the account is no less known without it."""
        read_at = taken_at + timedelta(seconds=time.monotonic() - began)
        try:
            return ClockReading(clock=self._broker.clock(), read_at=read_at)
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("clock.failed", executor_id=self._executor.id, error=str(error))
            return None

    def _share(self, snapshot: Snapshot) -> None:
        values = self._key | {
            "account_number": snapshot.account.number,
            "taken_at": snapshot.taken_at,
            "account": Jsonb(_account_json(snapshot.account)),
            "positions": Jsonb([_position_json(position) for position in snapshot.positions]),
            "clock": None if snapshot.last_clock is None else _clock_json(snapshot.last_clock),
        }

        def unit(connection: Any) -> Sequence[Any]:
            connection.execute(sql("switches", "adopt"), values | {"provisional": provisional(self._executor.id)})
            budget.move(connection, self._executor.id, snapshot.account.number)
            connection.execute(sql("accounts", "save_snapshot"), values)
            note_reading(connection, self._executor, snapshot.account, snapshot.positions, snapshot.taken_at)
            if connection.execute(sql("accounts", "accept"), self._key).fetchone() is None:
                return []
            rows: Sequence[Any] = connection.execute(sql("accounts", "release_refused"), self._key).fetchall()
            log.info("account.accepted", executor_id=self._executor.id, released=len(rows))
            return rows

        self._record.run(unit)


def _account_json(account: Account) -> dict[str, Any]:
    body = asdict(account)
    body.pop("raw")  # It repeats the rest, and holds more of the owner's affairs than the rules need.
    return body | {name: str(body[name]) for name in _MONEY}


def _position_json(position: Position) -> dict[str, Any]:
    return {
        name: value if name == "symbol" or value is None else str(value) for name, value in asdict(position).items()
    }


def _clock_json(reading: ClockReading) -> Jsonb:
    clock = reading.clock
    times = {name: getattr(clock, name).isoformat() for name in _TIMES}
    return Jsonb(times | {"is_open": clock.is_open, "read_at": reading.read_at.isoformat()})


def _clock_from(body: dict[str, Any] | None) -> ClockReading | None:
    if body is None:
        return None
    times = {name: datetime.fromisoformat(body[name]) for name in (*_TIMES, "read_at")}
    read_at = times.pop("read_at")
    return ClockReading(clock=Clock(**times, is_open=body["is_open"]), read_at=read_at)


def snapshot_of(row: dict[str, Any]) -> Snapshot:
    """Return the snapshot that *row* of the record holds."""
    account = row["account"] | {name: Decimal(row["account"][name]) for name in _MONEY}
    positions = tuple(
        Position(
            symbol=body["symbol"],
            quantity=Decimal(body["quantity"]),
            available=Decimal(body["available"]),
            average_entry_price=Decimal(body["average_entry_price"]),
            current_price=None if body["current_price"] is None else Decimal(body["current_price"]),
        )
        for body in row["positions"]
    )
    return Snapshot(
        account=Account(**account, raw={}),
        positions=positions,
        taken_at=row["taken_at"],
        last_clock=_clock_from(row["clock"]),
    )
