"""Hold an order as the exchange knows it, from its acceptance to its last word."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any


class ExchangeSide(StrEnum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> ExchangeSide:
        """The other side."""
        return ExchangeSide.SELL if self is ExchangeSide.BUY else ExchangeSide.BUY


class OrderType(StrEnum):
    """How an order is priced."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "day"
    GTC = "gtc"
    OPG = "opg"
    CLS = "cls"
    IOC = "ioc"
    FOK = "fok"


class OrderClass(StrEnum):
    """Whether an order comes with others."""

    SIMPLE = ""
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"


class ExchangeOrderStatus(StrEnum):
    """Where an order is; the broker's words."""

    #: Taken outside the session; waits for the open.
    ACCEPTED = "accepted"
    #: Taken, not yet in the book.
    PENDING_NEW = "pending_new"
    NEW = "new"
    #: A leg that waits for its parent.
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"


#: Statuses from which an order may still fill.
OPEN = frozenset(
    {
        ExchangeOrderStatus.ACCEPTED,
        ExchangeOrderStatus.PENDING_NEW,
        ExchangeOrderStatus.NEW,
        ExchangeOrderStatus.HELD,
        ExchangeOrderStatus.PARTIALLY_FILLED,
        ExchangeOrderStatus.PENDING_CANCEL,
    }
)
#: In the book: what the price may fill.
WORKING = frozenset({ExchangeOrderStatus.NEW, ExchangeOrderStatus.PARTIALLY_FILLED})


@dataclass(slots=True, kw_only=True, eq=False)
class ExchangeOrder:
    """One order. Times are nanoseconds since 1970; amounts are dollars."""

    seq: int
    id: str
    account: str
    client_order_id: str
    symbol: str
    is_crypto: bool
    side: ExchangeSide
    type: OrderType
    time_in_force: TimeInForce
    #: None for an order by *notional*.
    qty: Decimal | None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    #: Best price since a trailing stop began to work.
    hwm: Decimal | None = None
    extended_hours: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    position_intent: str = ""
    status: ExchangeOrderStatus
    #: A stop whose price was touched.
    triggered: bool = False
    created_ns: int
    submitted_ns: int
    updated_ns: int
    expires_ns: int
    filled_ns: int | None = None
    canceled_ns: int | None = None
    expired_ns: int | None = None
    failed_ns: int | None = None
    replaced_ns: int | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    parent: str | None = None
    legs: list[str] = field(default_factory=list)
    filled_qty: Decimal = Decimal(0)
    #: Sum of price x quantity over all fills.
    filled_value: Decimal = Decimal(0)
    #: Buying power that this order holds back.
    reserved: Decimal = Decimal(0)
    #: Quantity of the position that this order holds back.
    held: Decimal = Decimal(0)
    #: An injected fault: the next match fills only a part, the rest this many seconds later.
    part_then_s: float | None = None
    #: An injected fault: it is rejected when it comes to the book.
    reject_later: bool = False
    #: An injected fault: no match before this time.
    frozen_until_ns: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return self.status in OPEN

    @property
    def filled_average(self) -> Decimal | None:
        """The average price of what is filled."""
        return self.filled_value / self.filled_qty if self.filled_qty else None

    def to_row(self) -> str:
        """Return the order as one line of JSON for the journal."""
        return json.dumps({name: getattr(self, name) for name in _NAMES}, default=str, separators=(",", ":"))

    @classmethod
    def from_row(cls, text: str) -> ExchangeOrder:
        """Read back what `to_row` wrote."""
        row: dict[str, Any] = json.loads(text)
        for name in _DECIMALS:
            if row[name] is not None:
                row[name] = Decimal(row[name])
        for name, word in _WORDS.items():
            row[name] = word(row[name])
        return cls(**row)


_NAMES = tuple(each.name for each in fields(ExchangeOrder))
_DECIMALS = tuple(each.name for each in fields(ExchangeOrder) if "Decimal" in str(each.type))
_WORDS = {
    "side": ExchangeSide,
    "type": OrderType,
    "time_in_force": TimeInForce,
    "order_class": OrderClass,
    "status": ExchangeOrderStatus,
}
