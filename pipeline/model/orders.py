"""Hold an order as plain values: as tradewire sends it, and as a broker reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.model.symbols import AssetClass, asset_class

_OUR_PREFIX = "tw-"
_PRICES = ("limit_price", "stop_price", "trail_price", "trail_percent")


def client_order_id(execution_id: UUID, generation: int) -> str:
    """Return the id under which the broker knows our order: `tw-<execution>-<generation>`, at least 41 characters."""
    return f"{_OUR_PREFIX}{execution_id}-{generation}"


def is_our_order(client_order_id: str) -> bool:
    """Return whether the order is from tradewire: from this installation or another one."""
    return client_order_id.startswith(_OUR_PREFIX)


class OrderSide(StrEnum):
    """The side of an order, in the broker's words."""

    BUY = "buy"
    SELL = "sell"


def position_intent(symbol: str, side: OrderSide, *, closes: bool) -> str | None:
    """Return the position intent to send with an order; None for crypto, for which the broker documents none."""
    if asset_class(symbol) is AssetClass.CRYPTO:
        return None
    return f"{side.value}_to_{'close' if closes else 'open'}"


class OrderStatus(StrEnum):
    """An order's status at the broker, reduced to the cases that tradewire treats differently."""

    #: The broker has the order, and it may still fill.
    WORKING = "working"
    #: A part is filled, and the rest may still fill.
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    #: Another order has replaced this one, which does not change any more.
    REPLACED = "replaced"
    #: A status that tradewire does not know. It counts as working; `BrokerOrder.raw_status` keeps the broker's word.
    UNRECOGNISED = "unrecognised"


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """An order as tradewire sends it. Every attempt sends the same bytes: `from_json` restores what `to_json` wrote."""

    client_order_id: str
    #: Canonical form: `AAPL`, `BTC/USD`.
    symbol: str
    side: OrderSide
    quantity: Decimal
    #: `limit` or `market`; or a type of `StopTerms`, when a stop that others placed was canceled and is placed again.
    type: str
    #: `day` or `gtc`.
    time_in_force: str
    limit_price: Decimal | None = None
    #: This and the next two are only for orders that trigger at a price (see `StopTerms`).
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    #: Whether the order may also trade before the open and after the close. Only limit orders in shares may.
    extended_hours: bool = False
    #: Such as `sell_to_close`: the broker refuses an order that would do something else to the position.
    position_intent: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the order as the record stores it: strings and flags, without keys for values that are not set."""
        body: dict[str, Any] = {
            "client_order_id": self.client_order_id,
            "symbol": self.symbol,
            "side": self.side.value,
            "qty": format(self.quantity, "f"),
            "type": self.type,
            "time_in_force": self.time_in_force,
        }
        prices = {name: getattr(self, name) for name in _PRICES}
        body |= {name: format(price, "f") for name, price in prices.items() if price is not None}
        if self.extended_hours:
            body["extended_hours"] = True
        if self.position_intent is not None:
            body["position_intent"] = self.position_intent
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> OrderRequest:
        """Return the order that `to_json` wrote."""
        prices = {name: Decimal(body[name]) for name in _PRICES if body.get(name) is not None}
        return cls(
            client_order_id=body["client_order_id"],
            symbol=body["symbol"],
            side=OrderSide(body["side"]),
            quantity=Decimal(body["qty"]),
            type=body["type"],
            time_in_force=body["time_in_force"],
            extended_hours=body.get("extended_hours") is True,
            position_intent=body.get("position_intent"),
            **prices,
        )


@dataclass(frozen=True, kw_only=True)
class StopTerms:
    """The terms of an order that triggers at a price: enough to place an equal one."""

    #: `stop`, `stop_limit` or `trailing_stop`.
    type: str
    time_in_force: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_price: Decimal | None
    trail_percent: Decimal | None


@dataclass(frozen=True, kw_only=True)
class BrokerOrder:
    """An order as the broker reports it."""

    order_id: str
    client_order_id: str
    symbol: str
    side: OrderSide
    #: None if the order is for an amount of money instead.
    quantity: Decimal | None
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    status: OrderStatus
    #: The broker's own status, such as `pending_new`.
    raw_status: str
    created_at: datetime | None
    #: The broker's id of the order that has replaced this one.
    replaced_by: str | None = None
    #: The quantity of the newest replacement plus what was filled before it; None if the order was not replaced.
    replacement_quantity: Decimal | None = None
    #: The broker's ids of the orders that have replaced this one, one after another, as far as they were followed.
    replacement_ids: tuple[str, ...] = ()
    #: None if the order does not trigger at a price.
    stop: StopTerms | None = None
    #: The order's type, class and prices in the broker's words, for decisions and messages. Absent fields are left out.
    terms: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        price = self.terms.get("stop_price") or self.terms.get("limit_price")
        at = "" if price is None else f" at {price}"
        names = f"client_order_id {self.client_order_id}, order_id {self.order_id}"
        return f"{self.side} {self.quantity} {self.terms.get('type', '')}{at} ({names})"
