"""The content of an alert in any dialect, and the codes of refused deliveries."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pipeline.model.signals import Intent
from pipeline.model.symbols import AssetClass


class RefusalCode(StrEnum):
    """The reasons why a delivery is refused. A delivery with an invalid signal has the code of that signal's error."""

    #: There is no webhook of this name.
    UNKNOWN_WEBHOOK = "unknown_webhook"
    #: The secret is missing or wrong.
    UNAUTHORIZED = "unauthorized"
    #: The sender's address is not in the webhook's list.
    ADDRESS_REFUSED = "address_refused"
    #: The body is longer than 64 KiB.
    TOO_LARGE = "too_large"
    #: In a minute, more deliveries came to this webhook than a token may send, or too many wrong secrets.
    TOO_MANY = "too_many_requests"
    #: Empty, not UTF-8, broken JSON, not exactly one object, or text for a dialect that is JSON only.
    UNREADABLE = "unreadable"
    #: The text is not an order, or the JSON lacks the symbol or the action.
    NOT_UNDERSTOOD = "not_understood"
    #: A signal cannot express the order: an option, a cancel, a trailing stop.
    NOT_SUPPORTED = "not_supported"
    #: A placeholder of the sender was not filled in.
    PLACEHOLDER = "placeholder_unfilled"
    #: An entry has no price.
    NO_PRICE = "no_price"
    #: A value, such as a number or a time, cannot be read.
    BAD_VALUE = "bad_value"
    #: A comma in a number may stand for thousands or for decimals.
    AMBIGUOUS_NUMBER = "ambiguous_number"
    #: The symbol is not a share or a crypto pair that can be traded here.
    BAD_SYMBOL = "bad_symbol"


class AlertAction(StrEnum):
    """The order that an alert asks for."""

    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"
    CLOSE_LONG = "close_long"
    CLOSE_SHORT = "close_short"
    #: Close the position, whatever its side.
    FLAT = "flat"
    REVERSE = "reverse"


class SentPosition(StrEnum):
    """The side of the position that the sender reports."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


class SizeUnit(StrEnum):
    """The unit of a size; the values are the keys of our signals."""

    UNITS = "quantity"
    DOLLARS = "notional"
    OF_EQUITY = "equity_percent"
    OF_POSITION = "close_percent"
    #: A percentage of something that is not named.
    PERCENT = "percent"


@dataclass(frozen=True, kw_only=True)
class Size:
    """A size in its unit, and the key under which it was sent."""

    unit: SizeUnit
    value: Decimal
    key: str


@dataclass(frozen=True, kw_only=True)
class InnerOrder:
    """An action inside a body, the symbol beside it, and the key of the action."""

    key: str
    #: The action, as a key of `values.ACTIONS`.
    word: str
    symbol: str | None = None


@dataclass(frozen=True, kw_only=True)
class OrderTerms:
    """The instructions of a body about its order, besides symbol, side, prices and times; None for those it lacks."""

    size: Size | None = None
    #: `market`; other kinds are refused.
    kind: str | None = None
    #: The key under which it was sent, and `day` or `gtc`.
    time_in_force: tuple[str, str] | None = None
    #: Whether the order may only reduce a position.
    closes: bool = False
    #: The key under which it was sent, and the class of the symbol.
    asset_class: tuple[str, AssetClass] | None = None
    #: The key of an instruction that an entry cannot follow.
    for_exits: str | None = None
    #: The key and the exchange, when an unused object of the body names one.
    exchange: tuple[str, str] | None = None
    #: The orders in unused objects of the body.
    others: tuple[InnerOrder, ...] = ()
    #: The keys that set no field of the order. They were only searched for another exchange, class or order.
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Alert:
    """The content of an alert. A field is None when the alert does not have it."""

    #: As sent. When the sender names an exchange, it comes first, before a colon.
    symbol: str
    action: AlertAction
    price: Decimal | None = None
    #: Whether the alert asks for the market's current price.
    at_market: bool = False
    terms: OrderTerms = field(default_factory=OrderTerms)
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    confidence: Decimal | None = None
    strategy: str | None = None
    #: The sender's position after the order and before it, and its size after the order.
    position: SentPosition | None = None
    previous: SentPosition | None = None
    position_size: Decimal | None = None
    #: The sender's id of this alert.
    source_id: str | None = None
    fired_at: datetime | None = None
    expires_at: Any = None
    executors: tuple[str, ...] | None = None
    #: None: the sender does not say whether the order opens or closes.
    intent: Intent | None = None
    #: Sentences about choices that were made while reading the alert.
    notes: tuple[str, ...] = ()
