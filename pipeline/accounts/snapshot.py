"""A reading of a broker account: balances, positions and the market's clock, as the record keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from pipeline.model.account import Account, Clock, ClockReading, Position

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
