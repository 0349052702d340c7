"""What an account holds and may trade, in plain values: its money, positions, assets, the market's clock and days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account's money, as far as the rules use it. Amounts in `currency`."""

    number: str
    currency: str
    equity: Decimal
    last_equity: Decimal
    cash: Decimal
    buying_power: Decimal
    non_marginable_buying_power: Decimal
    #: True when the broker itself blocks orders (trading_blocked, account_blocked, suspended, not ACTIVE).
    blocked: bool
    shorting_enabled: bool
    raw: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Position:
    """An open position. *quantity* is signed: below zero is short. *available* is free of open orders."""

    symbol: str
    quantity: Decimal
    available: Decimal
    average_entry_price: Decimal
    current_price: Decimal | None

    @property
    def unrealised(self) -> Decimal | None:
        """What closing it at the current price would earn (below zero: lose); None without a price."""
        if self.current_price is None:
            return None
        return (self.current_price - self.average_entry_price) * self.quantity


@dataclass(frozen=True, kw_only=True)
class Asset:
    """What the broker says of a symbol."""

    symbol: str
    #: `us_equity` or `crypto`.
    asset_class: str
    tradable: bool
    fractionable: bool
    shortable: bool
    min_order_size: Decimal | None = None
    min_trade_increment: Decimal | None = None
    price_increment: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The broker's market clock."""

    timestamp: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


@dataclass(frozen=True, kw_only=True)
class MarketSession:
    """One day's regular session of the market for shares. Times in UTC; a half day closes early."""

    #: The day at the market, whatever day it is in UTC.
    date: date
    opens: datetime
    closes: datetime


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Cash that came into the account, or left it (*amount* below zero), other than by trading."""

    #: The broker's id; the same transfer may be listed again, always under the same id.
    transfer_id: str
    #: When the broker booked it, UTC. Where the broker tells the day only: midnight in New York, when it began.
    at: datetime
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class ClockReading:
    """What the broker's clock said, and when by the record's clock."""

    clock: Clock
    read_at: datetime

    def at(self, now: datetime) -> datetime:
        """Return the broker's time at *now*."""
        return self.clock.timestamp + (now - self.read_at)

    def holds(self, now: datetime) -> bool:
        """Say whether no bell has rung since: what the clock said of the market still goes."""
        return self.at(now) < (self.clock.next_close if self.clock.is_open else self.clock.next_open)
