"""What the recipe, the keeper and the tracker need of a broker, in plain values.

An adapter translates and does not decide: it says *accepted*, *rejected*, *not sent* or *unknown*, and leaves
what follows to its callers. Every adapter passes ``tests/contract/test_brokers*.py`` unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol


class Side(StrEnum):
    """The side of an order, in the broker's words."""

    BUY = "buy"
    SELL = "sell"


class OrderStatus(StrEnum):
    """An order's status at the broker, folded into what makes a difference to us."""

    #: The broker has it and it may still fill.
    WORKING = "working"
    #: Part of it is filled and the rest may still fill.
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    #: Replaced by another order; the broker will not touch this one again.
    REPLACED = "replaced"
    #: A word that we do not know yet. Treated as working, kept in `BrokerOrder.raw_status`.
    UNRECOGNISED = "unrecognised"


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """An order as it will be sent; the same values give the same bytes on every try."""

    client_order_id: str
    #: Canonical form: `AAPL`, `BTC/USD`.
    symbol: str
    side: Side
    quantity: Decimal
    #: `limit` or `market`.
    type: str
    #: `day` or `gtc`.
    time_in_force: str
    limit_price: Decimal | None = None

    def to_json(self) -> dict[str, str]:
        """Return the intent as it is recorded: strings only, no key for what is not set."""
        body = {
            "client_order_id": self.client_order_id,
            "symbol": self.symbol,
            "side": self.side.value,
            "qty": format(self.quantity, "f"),
            "type": self.type,
            "time_in_force": self.time_in_force,
        }
        if self.limit_price is not None:
            body["limit_price"] = format(self.limit_price, "f")
        return body

    @classmethod
    def from_json(cls, body: dict[str, str]) -> OrderRequest:
        """Read back what `to_json` wrote."""
        price = body.get("limit_price")
        return cls(
            client_order_id=body["client_order_id"],
            symbol=body["symbol"],
            side=Side(body["side"]),
            quantity=Decimal(body["qty"]),
            type=body["type"],
            time_in_force=body["time_in_force"],
            limit_price=None if price is None else Decimal(price),
        )


@dataclass(frozen=True, kw_only=True)
class BrokerOrder:
    """An order as the broker reports it."""

    order_id: str
    client_order_id: str
    symbol: str
    side: Side
    #: None for an order by notional.
    quantity: Decimal | None
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    status: OrderStatus
    #: The broker's own word, as in `order_status=pending_new`.
    raw_status: str
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The broker has the order."""

    order: BrokerOrder


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """The broker refused this order (HTTP 400, 403, 404 or 422 about the order itself)."""

    status: int
    message: str
    code: int | None = None


class NotSentCause(StrEnum):
    """Why an order certainly did not reach the broker's book."""

    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_REFUSED = "account_refused"


@dataclass(frozen=True, kw_only=True)
class NotSent:
    """The broker certainly did not take the order: no connection, 429, or the account itself is refused."""

    cause: NotSentCause
    message: str
    #: Seconds that the broker asks us to wait, when it says so.
    retry_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """The broker may or may not have the order: timeout, reset, 3xx, 5xx, an unreadable answer."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """The broker says that this client_order_id is taken: some try before this one went through."""

    message: str


Outcome = Accepted | Rejected | NotSent | Unknown | Duplicate


@dataclass(frozen=True, kw_only=True)
class Found:
    """The broker holds an order with this client_order_id."""

    order: BrokerOrder


@dataclass(frozen=True, kw_only=True)
class Absent:
    """The broker answered cleanly that it knows no such order. Reads lag: one answer proves nothing."""


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    """The look-up itself failed; nothing is known.

    *cause* is None when the broker answered, and its answer makes no sense. `UNREACHABLE` is a broker that is
    away: no connection, no answer in time, 5xx.
    """

    message: str
    cause: NotSentCause | None = None


Lookup = Found | Absent | NoAnswer


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


class Broker(Protocol):
    """One account at one broker. Thread-safe; one warm connection pool; no retries of its own.

    Reads raise `BrokerUnavailable` (away, slow, 429, 5xx), `BrokerRefusesAccount` (401, 403 about the
    account) or `BrokerUnreadable` (an answer that makes no sense). `submit` and `find` never raise for
    these: they return a value that says which it was. No exception text holds a key.
    """

    def submit(self, request: OrderRequest) -> Outcome:
        """Send the order once."""

    def find(self, client_order_id: str) -> Lookup:
        """Look an order up by our id."""

    def find_in_list(self, client_order_id: str, *, since: datetime) -> Lookup:
        """Look for our id in the order list (any status), as a second opinion on `find`."""

    def order(self, order_id: str) -> BrokerOrder | None:
        """Read one order by the broker's id; None when the broker does not know it."""

    def orders(self, *, status: str, since: datetime | None = None) -> Sequence[BrokerOrder]:
        """List orders of *status* (`open`, `closed` or `all`), submitted after *since*, all pages."""

    def cancel(self, order_id: str) -> bool:
        """Ask for a cancel. True: the broker took the request. False: the order is over or unknown."""

    def account(self) -> Account:
        """Read the account."""

    def positions(self) -> Sequence[Position]:
        """Read all open positions."""

    def position(self, symbol: str) -> Position | None:
        """Read one position; None when flat."""

    def asset(self, symbol: str) -> Asset | None:
        """Read what the broker says of *symbol*; None when it does not know it."""

    def clock(self) -> Clock:
        """Read the market clock."""

    def close(self) -> None:
        """Release the connections."""
