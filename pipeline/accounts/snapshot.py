"""A reading of a broker account: balances, positions and the market's clock, as the record keeps it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from pipeline.model.account import Account, Clock, ClockReading, Position
from pipeline.store.query import fetch_maybe
from pipeline.store.statements import sql

_ACCOUNT = TypeAdapter(Account)
_POSITIONS = TypeAdapter(tuple[Position, ...])
_CLOCK = TypeAdapter(Clock)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An account and its positions at *taken_at* (by the database's clock, before the reading began)."""

    account: Account
    positions: tuple[Position, ...]
    taken_at: datetime
    #: The broker's clock as last read; None before its first reading.
    last_clock: ClockReading | None = None
    #: The names of the broker's rows that could not be read as positions.
    unreadable: tuple[str, ...] = ()

    @property
    def clock(self) -> ClockReading | None:
        """Return the clock if it was read with the account or later; None if it could not be read then."""
        last = self.last_clock
        return last if last is not None and last.read_at >= self.taken_at else None

    def position(self, symbol: str) -> Position | None:
        """Return the position in *symbol*; None when flat."""
        return next((position for position in self.positions if position.symbol == symbol), None)


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """A snapshot as the record keeps it, and the record's time."""

    account: dict[str, Any]
    positions: list[dict[str, Any]]
    unreadable: list[str]
    taken_at: datetime
    clock: dict[str, Any] | None
    #: The keys that read the account, in the form of `GuardedBroker.keys`.
    keys: str | None
    now: datetime

    def snapshot(self) -> Snapshot:
        """Return the snapshot."""
        return Snapshot(
            account=_ACCOUNT.validate_python(self.account | {"raw": {}}),
            positions=_POSITIONS.validate_python(self.positions),
            taken_at=self.taken_at,
            last_clock=self.last_clock(),
            unreadable=tuple(self.unreadable),
        )

    def last_clock(self) -> ClockReading | None:
        """Return the clock as last read; None before its first reading."""
        if self.clock is None:
            return None
        read_at = datetime.fromisoformat(self.clock["read_at"])
        return ClockReading(clock=_CLOCK.validate_python(self.clock), read_at=read_at)


def read_snapshot(connection: Connection[DictRow], executor_id: str) -> Snapshot | None:
    """Return the newest snapshot of the executor's account; None before its first reading."""
    row = fetch_maybe(connection, SnapshotRow, sql("accounts", "snapshot"), {"executor_id": executor_id})
    return None if row is None else row.snapshot()


def snapshot_values(snapshot: Snapshot) -> dict[str, Any]:
    """Return the values that the record keeps of *snapshot*."""
    # The raw answer repeats the figures, and holds more about the owner than the rules need.
    account = _ACCOUNT.dump_python(snapshot.account, mode="json", exclude={"raw"})
    return {
        "account_number": snapshot.account.number,
        "taken_at": snapshot.taken_at,
        "account": Jsonb(account),
        "positions": Jsonb(_POSITIONS.dump_python(snapshot.positions, mode="json")),
        "unreadable": Jsonb(list(snapshot.unreadable)),
        "clock": None if snapshot.last_clock is None else clock_value(snapshot.last_clock),
    }


def clock_value(reading: ClockReading) -> Jsonb:
    """Return the value that the record keeps of *reading*."""
    return Jsonb(_CLOCK.dump_python(reading.clock, mode="json") | {"read_at": reading.read_at.isoformat()})
