"""Map Alpaca's raw JSON to our values: orders, positions, the account, assets and the clock.

The functions raise `BrokerUnreadable` when a field that we need is missing or not readable. Unknown fields, unknown
statuses and empty timestamps are accepted. alpaca-py's own models fail on them, even after the order was taken.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pipeline.model.account import Account, Asset, Clock, Position
from pipeline.model.errors import BrokerUnreadable
from pipeline.model.orders import BrokerOrder, OrderStatus, StopTerms
from pipeline.model.symbols import AssetClass, of_broker
from workers.brokers.alpaca.fields import Fields

T = TypeVar("T")

_STOPS: Final = frozenset({"stop", "stop_limit", "trailing_stop"})
_TERMS: Final = (
    "type", "time_in_force", "order_class", "limit_price", "stop_price", "trail_price", "trail_percent",
    "extended_hours", "position_intent",
)  # fmt: skip

STATUSES: Final[Mapping[str, OrderStatus]] = {
    "accepted": OrderStatus.WORKING,
    "pending_new": OrderStatus.WORKING,
    "new": OrderStatus.WORKING,
    "held": OrderStatus.WORKING,
    "accepted_for_bidding": OrderStatus.WORKING,
    "stopped": OrderStatus.WORKING,
    "suspended": OrderStatus.WORKING,
    "calculated": OrderStatus.WORKING,
    # The rest of the order may fill on the next day.
    "done_for_day": OrderStatus.WORKING,
    # The cancel or replacement is requested, not done: the order may still fill.
    "pending_cancel": OrderStatus.WORKING,
    "pending_replace": OrderStatus.WORKING,
    "pending_review": OrderStatus.WORKING,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "replaced": OrderStatus.REPLACED,
}


def order_from_broker(raw: Any) -> BrokerOrder:
    """Read one order."""
    fields = Fields.of("order", raw)
    filled = fields.amount_or_none("filled_qty") or Decimal(0)
    price, raw_status = fields.amount_or_none("filled_avg_price"), fields.word("status")
    return BrokerOrder(
        order_id=fields.word("id"),
        client_order_id=fields.word("client_order_id"),
        symbol=of_broker(fields.word("symbol"), raw.get("asset_class")),
        side=fields.side(),
        quantity=fields.amount_or_none("qty"),
        filled_quantity=filled,
        # An order without a fill may have the price 0.
        filled_average_price=price if filled else None,
        status=_status(raw_status, filled),
        raw_status=raw_status,
        created_at=fields.time_or_none("created_at"),
        replaced_by=fields.word("replaced_by") if raw.get("replaced_by") else None,
        stop=_stop_terms(fields),
        terms={name: raw[name] for name in _TERMS if isinstance(raw.get(name), str | int) and raw[name]},
    )


def order_asked_for(raw: Any) -> BrokerOrder:
    """Read one order that was requested by the broker's id.

    Another program may have chosen its client id. If that is not printable ASCII, it is replaced by `unreadable`.
    """
    order_id = raw.get("client_order_id") if isinstance(raw, dict) else None
    odd = isinstance(order_id, str) and not (order_id and order_id.isascii() and order_id.isprintable())
    return order_from_broker(raw | {"client_order_id": "unreadable"} if odd else raw)


def _stop_terms(fields: Fields) -> StopTerms | None:
    """Read the terms of a stop, also of a bracket's leg; None for other orders, and for a stop without a quantity."""
    if fields.raw.get("type") not in _STOPS or fields.amount_or_none("qty") is None:
        return None
    prices = ("limit_price", "stop_price", "trail_price", "trail_percent")
    return StopTerms(
        type=fields.word("type"),
        time_in_force=fields.word("time_in_force"),
        **{name: fields.amount_or_none(name) for name in prices},
    )


def order_page(raw: Any) -> list[Any]:
    """Read one page of raw orders. The rows are not checked here, so that one unreadable row hides no other row."""
    return each(lambda order: order)(raw)


def id_of(raw: Any) -> str | None:
    """Return the id of a raw order; None when it has none."""
    order_id = raw.get("id") if isinstance(raw, dict) else None
    return order_id if isinstance(order_id, str) and order_id else None


def symbol_of(raw: Any) -> str | None:
    """Return the symbol of a raw order or position; None when it has none."""
    symbol = raw.get("symbol") if isinstance(raw, dict) else None
    return of_broker(symbol, raw.get("asset_class")) if isinstance(symbol, str) and symbol else None


def has_legs_only(raw: Mapping[str, Any]) -> bool:
    """Return whether the order has several legs. Such an order has no symbol and no side, and we never place one."""
    return raw.get("order_class") == "mleg"


def listed_at(raw: Any) -> datetime:
    """Return the time by which Alpaca sorts this order in its lists."""
    fields = Fields.of("order", raw)
    return fields.time_or_none("submitted_at") or fields.time("created_at")


def cancel_was_taken(raw: Any) -> bool:
    """Read one row of the answer to a cancel of all orders, and return whether that cancel was accepted."""
    status = Fields.of("cancel", raw).raw.get("status")
    if not isinstance(status, int) or isinstance(status, bool):
        raise BrokerUnreadable("The broker's answer does not tell the result of a cancel.")
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def each(translate: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Return a reader of a list, given a reader of one item."""

    def translate_all(raw: Any) -> list[T]:
        if not isinstance(raw, list):
            raise BrokerUnreadable("The broker's answer is not the list that was asked for.")
        return [translate(one) for one in raw]

    return translate_all


def account_from_broker(raw: Any) -> Account:
    """Read the account. Unless Alpaca clearly allows orders, the account counts as blocked for entries."""
    fields = Fields.of("account", raw)
    switches = ("trading_blocked", "account_blocked", "trade_suspended_by_user")
    return Account(
        number=fields.word("account_number"),
        currency=fields.word("currency"),
        equity=fields.amount("equity"),
        last_equity=fields.amount("last_equity"),
        cash=fields.amount("cash"),
        buying_power=fields.amount("buying_power"),
        # Only entries in crypto need this amount, so an account without it must not stop an exit.
        non_marginable_buying_power=fields.amount_or_none("non_marginable_buying_power"),
        blocked=raw.get("status") != "ACTIVE" or any(raw.get(switch) not in (False, None) for switch in switches),
        shorting_enabled=raw.get("shorting_enabled") is True,
        raw=raw,
    )


def position_from_broker(raw: Any) -> Position:
    """Read one position. Alpaca marks a short position by its side and by a minus sign: either is enough."""
    fields = Fields.of("position", raw)
    quantity = fields.amount("qty")
    short = raw.get("side") == "short" or quantity < 0
    available = fields.amount_or_none("qty_available")
    value, cost = fields.amount_or_none("market_value"), fields.amount_or_none("cost_basis")
    sign = -1 if short else 1
    return Position(
        symbol=of_broker(fields.word("symbol"), raw.get("asset_class")),
        quantity=sign * abs(quantity),
        available=sign * abs(quantity if available is None else available),
        average_entry_price=fields.amount_or_none("avg_entry_price"),
        current_price=fields.amount_or_none("current_price"),
        market_value=None if value is None else sign * abs(value),
        cost_basis=None if cost is None else sign * abs(cost),
    )


def asset_from_broker(raw: Any) -> Asset:
    """Read one asset."""
    fields = Fields.of("asset", raw)
    asset_class, attributes = fields.word("class"), raw.get("attributes")
    return Asset(
        symbol=of_broker(fields.word("symbol"), asset_class),
        asset_class=asset_class,
        tradable=raw.get("tradable") is True and raw.get("status") == "active",
        fractionable=raw.get("fractionable") is True,
        shortable=raw.get("shortable") is True,
        min_order_size=fields.amount_or_none("min_order_size"),
        min_trade_increment=fields.amount_or_none("min_trade_increment"),
        price_increment=fields.amount_or_none("price_increment"),
        fractional_extended=isinstance(attributes, list) and "fractional_eh_enabled" in attributes,
        whole_only=raw.get("fractionable") is False,
        day_orders_only=asset_class == AssetClass.US_EQUITY and _is_hard_to_borrow(raw),
    )


def _is_hard_to_borrow(raw: Mapping[str, Any]) -> bool:
    """Read `borrow_status`, or `easy_to_borrow` from before 2026-09."""
    if "borrow_status" in raw:
        return bool(raw["borrow_status"] == "hard_to_borrow")
    return raw.get("easy_to_borrow") is False


def clock_from_broker(raw: Any) -> Clock:
    """Read the market clock. All times are in UTC."""
    fields = Fields.of("clock", raw)
    is_open = raw.get("is_open")
    if not isinstance(is_open, bool):
        raise fields.unreadable("is_open")
    return Clock(
        timestamp=fields.time("timestamp"),
        is_open=is_open,
        next_open=fields.time("next_open"),
        next_close=fields.time("next_close"),
    )


def _status(raw_status: str, filled: Decimal) -> OrderStatus:
    status = STATUSES.get(raw_status, OrderStatus.UNRECOGNISED)
    # Statuses such as `pending_cancel` and `done_for_day` do not show that a part is filled.
    return OrderStatus.PARTIALLY_FILLED if status is OrderStatus.WORKING and filled else status
