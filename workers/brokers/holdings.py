"""What an account holds and may trade, in plain values: its money, positions, assets and the market's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
