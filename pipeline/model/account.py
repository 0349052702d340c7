"""Hold what a broker reports as plain values: an account's money, positions, assets and the market's hours."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Account:
    """The figures of an account's money that the rules use. Amounts are in `currency`."""

    number: str
    currency: str
    equity: Decimal
    last_equity: Decimal
    cash: Decimal
    buying_power: Decimal
    #: The amount that may be spent on crypto; None when the broker does not report it.
    non_marginable_buying_power: Decimal | None
    #: True when the broker may refuse orders (trading_blocked, account_blocked, suspended, not ACTIVE). Entries wait.
    blocked: bool
    shorting_enabled: bool
    raw: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The best prices at which a symbol could be bought (ask) and sold (bid) at the time *at* of the market's clock."""

    bid: Decimal
    ask: Decimal
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Position:
    """An open position. Quantities are signed: below zero is short. The *available* part is held by no open order."""

    symbol: str
    quantity: Decimal
    available: Decimal
    #: None if the broker does not report it. An exit can close the position all the same.
    average_entry_price: Decimal | None
    current_price: Decimal | None
    #: The position's value and cost as the broker states them, signed, in the account's currency. They can differ from
    #: quantity times price, as for a contract on many units or a pair that is priced in a coin. None if not stated.
    market_value: Decimal | None = None
    cost_basis: Decimal | None = None

    @property
    def price(self) -> Decimal | None:
        """Return the market price; if it is unknown, the entry price; None if both are unknown."""
        return self.current_price or self.average_entry_price

    @property
    def unrealised(self) -> Decimal | None:
        """Return the profit of closing at the current price (a loss is below zero); None if either price is unknown."""
        if self.current_price is None or self.average_entry_price is None:
            return None
        if self.market_value is not None and self.cost_basis is not None:
            return self.market_value - self.cost_basis
        return (self.current_price - self.average_entry_price) * self.quantity


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A symbol's trading terms at the broker."""

    symbol: str
    #: `us_equity` or `crypto`.
    asset_class: str
    tradable: bool
    fractionable: bool
    shortable: bool
    min_order_size: Decimal | None = None
    min_trade_increment: Decimal | None = None
    price_increment: Decimal | None = None
    #: Whether the broker accepts fractions of a share before the open and after the close.
    fractional_extended: bool = False
    #: Whether the broker reports that it accepts no fractions, not even of an exit. False also if it reports nothing:
    #: then a fraction is sent, and the broker decides.
    whole_only: bool = False
    #: Whether the broker reports it as hard to borrow: then it accepts orders for the day only.
    day_orders_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The broker's market clock."""

    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


@dataclass(frozen=True, kw_only=True)
class MarketSession:
    """One day's regular session of the stock market. Times are in UTC; a half day closes early."""

    #: The date in New York; the date in UTC may be another.
    date: date
    opens: datetime
    closes: datetime


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Cash that was paid into the account, or out of it (*amount* below zero)."""

    #: The broker's id. A transfer that is listed again has the same id.
    transfer_id: str
    #: When the broker booked it, in UTC. If the broker reports only a day, this is midnight of that day in New York.
    at: datetime
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class ClockReading:
    """A reading of the broker's clock, and the time at which it was taken, by PostgreSQL's clock."""

    clock: Clock
    read_at: datetime

    def at(self, now: datetime) -> datetime:
        """Return the broker's time at *now*."""
        return self.clock.timestamp + (now - self.read_at)

    def holds(self, now: datetime) -> bool:
        """Return whether the market has neither opened nor closed since this reading."""
        return self.at(now) < (self.clock.next_close if self.clock.is_open else self.clock.next_open)
