"""What an alert says, whatever dialect it came in, and the codes under which deliveries are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class RefusalCode(StrEnum):
    """Why a delivery was refused. Those of a signal that is not valid come beside them."""

    #: There is no webhook of this name.
    UNKNOWN_WEBHOOK = "unknown_webhook"
    #: The secret is missing or wrong.
    UNAUTHORIZED = "unauthorized"
    #: The sender's address is not in the webhook's list.
    ADDRESS_REFUSED = "address_refused"
    #: The body is longer than an alert can be.
    TOO_LARGE = "too_large"
    #: This webhook has had its deliveries of the minute.
    TOO_MANY = "too_many_requests"
    #: Not UTF-8, broken JSON, or more than one object.
    UNREADABLE = "unreadable"
    #: Text that is no order, or JSON without what an order needs.
    NOT_UNDERSTOOD = "not_understood"
    #: It asks for something that a signal cannot say: options, a cancel, a trailing stop.
    NOT_SUPPORTED = "not_supported"
    #: A placeholder of the sender was not filled in.
    PLACEHOLDER = "placeholder_unfilled"
    #: An entry without a price.
    NO_PRICE = "no_price"
    #: A figure or a time that cannot be read.
    BAD_VALUE = "bad_value"
    #: The symbol is not one that can be traded here.
    BAD_SYMBOL = "bad_symbol"


class Word(StrEnum):
    """What an alert asks for."""

    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"
    CLOSE_LONG = "close_long"
    CLOSE_SHORT = "close_short"


class SentPosition(StrEnum):
    """A position of the sender's, as far as it matters."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What an alert says. None: it does not say."""

    #: As sent; with the exchange before a colon when it names one.
    symbol: str
    word: Word
    price: Decimal | None = None
    quantity: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    confidence: Decimal | None = None
    strategy: str | None = None
    #: The position after the order and before it, and the size after it.
    position: SentPosition | None = None
    previous: SentPosition | None = None
    position_size: Decimal | None = None
    #: What the sender calls this alert, and nothing else.
    source_id: str | None = None
    fired_at: datetime | None = None
    expires_at: Any = None
    executors: tuple[str, ...] | None = None
    #: The sender says that it only opens, or only closes.
    opens: bool = False
    closes: bool = False
    #: What was understood in a way worth saying.
    notes: tuple[str, ...] = ()
