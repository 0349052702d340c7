"""An order of the exchange, from its acceptance to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class ExchangeSide(StrEnum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> ExchangeSide:
        """Return the other side."""
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
    """The kind of group that an order belongs to; a simple order belongs to none."""

    SIMPLE = ""
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"


class ExchangeOrderStatus(StrEnum):
    """The status of an order, as the broker writes it."""

    #: Accepted outside its session, or for an auction; it waits for the session or the auction.
    ACCEPTED = "accepted"
    #: Accepted, not yet in the book.
    PENDING_NEW = "pending_new"
    NEW = "new"
    #: A leg that waits for its parent, or a stop whose take-profit is in the book.
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"


#: Statuses that an order never leaves.
_ENDED = frozenset(ExchangeOrderStatus(word) for word in ("filled", "canceled", "expired", "rejected", "replaced"))
#: Statuses in which an order is in the book and may be matched.
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
    #: The stop price was touched.
    triggered: bool = False
    created_ns: int
    submitted_ns: int
    updated_ns: int
    expires_ns: int
    filled_ns: int | None = None
    cancel_requested_ns: int | None = None
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
    #: An injected fault: the next match fills a part, and the rest fills this many seconds later.
    part_then_s: float | None = None
    #: An injected fault: the order is rejected instead of entering the book.
    reject_later: bool = False
    #: An injected fault: the order is not matched before this time.
    frozen_until_ns: int = 0

    @property
    def is_open(self) -> bool:
        """Return whether the order may still fill."""
        return self.status not in _ENDED

    @property
    def filled_average(self) -> Decimal | None:
        """Return the average price of the order's fills; None before the first fill."""
        return self.filled_value / self.filled_qty if self.filled_qty else None
