"""Compute an account's exposure: its positions, and the quantities that our entries may still add to them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pipeline.model.account import Position

_ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The quantity, cost and risk that our entries in one symbol may still add to the positions that were read."""

    symbol: str
    #: Signed: below zero is short.
    quantity: Decimal
    #: The estimated cost, unsigned, in the account's currency.
    value: Decimal
    #: The loss if their stops are hit, in the account's currency.
    risk: Decimal


@dataclass(frozen=True, kw_only=True)
class StrategyHolding:
    """The holding of one strategy in one symbol, according to our record."""

    #: Signed: below zero is short.
    quantity: Decimal = _ZERO
    opened_at: datetime | None = None
    #: The quantity that all strategies hold together, according to our record.
    recorded: Decimal = _ZERO
    #: When the last fill in the symbol was recorded, of any strategy.
    changed_at: datetime | None = None
    #: The stop of its newest entry that gave one.
    stop_price: Decimal | None = None
    #: The signed quantities of the other strategies that hold the symbol.
    others: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Book:
    """All positions of an account, and everything that our entries may still add to them."""

    positions: tuple[Position, ...] = ()
    pending: tuple[Pending, ...] = ()
    #: By symbol, the farthest stop of the strategies that hold it.
    stops: Mapping[str, Decimal] = field(default_factory=dict)
    #: The symbols that at least one strategy holds without a stop.
    unstopped: frozenset[str] = frozenset()
    #: The names of the broker's rows that could not be read as positions.
    unreadable: tuple[str, ...] = ()

    def unread(self) -> tuple[str, ...]:
        """Return the names of the positions whose value is not known."""
        return (*self.unreadable, *(each.symbol for each in self.positions if each.quantity and not _is_valued(each)))

    def symbols(self) -> frozenset[str]:
        """Return every symbol that is held, or that may be held once pending entries fill."""
        return frozenset(
            [each.symbol for each in self.positions if each.quantity]
            + [each.symbol for each in self.pending if each.quantity]
        )

    def quantity(self, symbol: str) -> Decimal:
        """Return the signed quantity in *symbol*, pending entries included."""
        held = sum((each.quantity for each in self.positions if each.symbol == symbol), _ZERO)
        return held + sum((each.quantity for each in self.pending if each.symbol == symbol), _ZERO)

    def gross(self, symbols: Iterable[str] | None = None) -> Decimal:
        """Return the gross value of *symbols* (None: all), in the account's currency. Longs and shorts add up."""
        only = None if symbols is None else frozenset(symbols)
        held = sum((position_value(each) for each in self.positions if only is None or each.symbol in only), _ZERO)
        return held + sum((each.value for each in self.pending if only is None or each.symbol in only), _ZERO)

    def open_risk(self, default_stop_percent: Decimal) -> Decimal:
        """Return the loss if all stops are hit.

        A position that no stop limits loses *default_stop_percent* of its value.
        """
        held = sum((self._risk(each, default_stop_percent) for each in self.positions), _ZERO)
        return held + sum((each.risk for each in self.pending), _ZERO)

    def _risk(self, position: Position, default_stop_percent: Decimal) -> Decimal:
        stop, price = self.stops.get(position.symbol), position.price
        assumed = position_value(position) * default_stop_percent / 100
        if stop is None or price is None:
            return assumed
        distance = price - stop if position.quantity > 0 else stop - price
        # A price that has passed the stop did not close the position, so the stop does not limit the loss.
        is_limited = distance > 0 and position.symbol not in self.unstopped
        return max(distance * abs(position.quantity), _ZERO if is_limited else assumed)


def _is_valued(position: Position) -> bool:
    """Return whether the value is known. A position may cost nothing and be worth nothing, such as a share right."""
    return position_value(position) > 0 or (position.market_value is not None and position.cost_basis is not None)


def position_value(position: Position) -> Decimal:
    """Return the unsigned value of a position: as the broker states it, else its cost, else its quantity at its price.

    The result is 0 when none of these is known; entries wait until one is (`Book.unread`).
    """
    stated = position.market_value or position.cost_basis
    return abs(stated) if stated else abs(position.quantity) * (position.price or _ZERO)
