"""What an account holds, and what our entries may still add to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pipeline.model.account import Position

_ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """What our entries in one symbol may add that the positions read do not show."""

    symbol: str
    #: Signed: below zero is short.
    quantity: Decimal
    #: What it is taken to cost, unsigned, in the account's currency.
    value: Decimal
    #: What it may lose down to its stops, in the account's currency.
    risk: Decimal


@dataclass(frozen=True, kw_only=True)
class Own:
    """What the executions of one strategy hold in a symbol."""

    #: Signed: below zero is short.
    quantity: Decimal = _ZERO
    opened_at: datetime | None = None
    #: What all strategies hold of it together, and when our record last heard of a fill.
    recorded: Decimal = _ZERO
    changed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Book:
    """All positions of an account and all that our entries may still add."""

    positions: tuple[Position, ...] = ()
    pending: tuple[Pending, ...] = ()
    #: Symbol to the farthest of the stops that our strategies hold it with.
    stops: Mapping[str, Decimal] = field(default_factory=dict)
    #: Symbols that a strategy holds without a stop.
    unstopped: frozenset[str] = frozenset()

    def symbols(self) -> frozenset[str]:
        """Return every symbol that is held or may come to be held."""
        return frozenset(
            [each.symbol for each in self.positions if each.quantity]
            + [each.symbol for each in self.pending if each.quantity]
        )

    def quantity(self, symbol: str) -> Decimal:
        """Return the quantity in *symbol*, signed, with what may still come."""
        held = sum((each.quantity for each in self.positions if each.symbol == symbol), _ZERO)
        return held + sum((each.quantity for each in self.pending if each.symbol == symbol), _ZERO)

    def gross(self, symbols: Iterable[str] | None = None) -> Decimal:
        """Return what all of it is worth, longs and shorts added up, in the account's currency."""
        only = None if symbols is None else frozenset(symbols)
        held = sum((worth(each) for each in self.positions if only is None or each.symbol in only), _ZERO)
        return held + sum((each.value for each in self.pending if only is None or each.symbol in only), _ZERO)

    def open_risk(self, default_stop_percent: Decimal) -> Decimal:
        """Return what may be lost down to the stops; a position without one is taken to have the default's."""
        held = sum((self._risk(each, default_stop_percent) for each in self.positions), _ZERO)
        return held + sum((each.risk for each in self.pending), _ZERO)

    def _risk(self, position: Position, default_stop_percent: Decimal) -> Decimal:
        stop, price = self.stops.get(position.symbol), position.current_price or position.average_entry_price
        assumed = worth(position) * default_stop_percent / 100
        if stop is None:
            return assumed
        # A stop beyond the price is one that should have fired: nothing is gained by it.
        distance = price - stop if position.quantity > 0 else stop - price
        least = assumed if position.symbol in self.unstopped else _ZERO
        return max(distance * abs(position.quantity), least)


def worth(position: Position) -> Decimal:
    """Return what a position is worth, unsigned, at the market's price, else at its own."""
    return abs(position.quantity) * (position.current_price or position.average_entry_price)
