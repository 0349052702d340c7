"""Read the frames of Alpaca's trade-update stream. Pure: no clock and no I/O.

An update that can be applied as it is becomes an `OrderUpdate`. Alpaca sends some events without their fields, adds new
events, and repeats old ones, so any other update about an order of ours only shows that the order should be polled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.model.errors import BrokerUnreadable
from pipeline.model.fills import FillReport
from pipeline.model.orders import BrokerOrder, OrderStatus, is_our_order
from pipeline.model.reasons import storable
from workers.brokers.alpaca.fields import Fields, read_json
from workers.brokers.alpaca.mapping import order_from_broker

#: Each of these events reports one trade. Their `price` and `qty` are those of the trade, not of the order.
_FILLS: Final = frozenset({"fill", "partial_fill"})
#: The other events after which the order is as the frame shows it.
_CHANGES: Final = frozenset(
    {
        "new", "accepted", "pending_new", "canceled", "expired", "rejected", "done_for_day", "pending_cancel",
        "pending_replace", "stopped", "suspended", "calculated", "restated", "order_cancel_rejected",
        "order_replace_rejected",
    }
)  # fmt: skip
#: The broker takes a trade back, or reports it anew with another price or quantity.
_REVISIONS: Final = frozenset({"trade_bust", "trade_correct"})
#: The replacing order has an id of the broker's, so only a poll can join its fills with those of the old order.
_REPLACED: Final = "replaced"
#: The most letters of an unknown word that a person is shown.
_LONGEST_WORD: Final = 60


@dataclass(frozen=True, kw_only=True)
class StreamMessage:
    """One message of the server."""

    #: `authorization`, `listening` or `trade_updates`; None for an error that the server reports.
    stream: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class OrderUpdate:
    """An order of ours as an event shows it, with the trade if the event is one."""

    event: str
    order: BrokerOrder
    fill: FillReport | None


@dataclass(frozen=True, kw_only=True)
class FillRevision:
    """A trade of our order that the broker takes back or corrects. Such an event does not show the order's state."""

    client_order_id: str
    #: The id under which the trade was reported before.
    previous_fill_id: str
    #: The corrected trade; if the broker takes the trade back, the last report of it.
    fill: FillReport
    is_bust: bool


@dataclass(frozen=True, kw_only=True)
class UnclearUpdate:
    """An update about an order of ours, or about an unknown one, that only a poll can settle."""

    why: str
    #: True if the frame is not as Alpaca documents it, so that a person should see it.
    odd: bool = True


@dataclass(frozen=True, kw_only=True)
class ForeignUpdate:
    """An update about an order that has no id of tradewire's."""

    #: The broker's id of the order that this one replaces. That order may be ours.
    replaces: str | None


Update = OrderUpdate | FillRevision | UnclearUpdate | ForeignUpdate


def message_of(frame: str | bytes) -> StreamMessage:
    """Read a frame.

    Raises:
        BrokerUnreadable: it is not a message of this stream.
    """
    try:
        raw = read_json(frame.decode() if isinstance(frame, bytes) else frame)
    except UnicodeDecodeError:
        raise BrokerUnreadable("The broker's frame is not text.") from None
    fields = Fields.of("message", raw)
    data = raw.get("data")
    if not isinstance(data, dict):
        raise fields.unreadable("data")
    if raw.get("action") == "error":
        return StreamMessage(stream=None, data=data)
    return StreamMessage(stream=fields.word("stream"), data=data)


def update_of(data: Mapping[str, Any]) -> Update:
    """Read the data of a `trade_updates` message."""
    raw = data.get("order")
    our_id = raw.get("client_order_id") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(our_id, str) or not our_id:
        return UnclearUpdate(why="it names no order")
    if not is_our_order(our_id):
        replaces = raw.get("replaces")
        return ForeignUpdate(replaces=storable(replaces) if isinstance(replaces, str) and replaces else None)
    event = data.get("event")
    if event == _REPLACED:
        return UnclearUpdate(why="the order was replaced", odd=False)
    if not isinstance(event, str) or event not in _FILLS | _CHANGES | _REVISIONS:
        return UnclearUpdate(why="its event is unknown")
    try:
        return _revision(event, data) if event in _REVISIONS else _order_update(event, data)
    except BrokerUnreadable as error:
        return UnclearUpdate(why=str(error))


def _order_update(event: str, data: Mapping[str, Any]) -> Update:
    order = order_from_broker(data["order"])
    if order.status is OrderStatus.UNRECOGNISED:
        return UnclearUpdate(why=f"the order's status {order.raw_status[:_LONGEST_WORD]!r} is unknown")
    if order.status is OrderStatus.REPLACED or order.replaced_by is not None:
        return UnclearUpdate(why="the order was replaced", odd=False)
    if event not in _FILLS:
        return OrderUpdate(event=event, order=order, fill=None)
    fill = _fill(Fields(kind="fill", raw=data), order)
    if order.filled_quantity < fill.quantity:
        return UnclearUpdate(why="the order's filled quantity does not include this fill")
    return OrderUpdate(event=event, order=order, fill=fill)


def _revision(event: str, data: Mapping[str, Any]) -> FillRevision:
    fields, is_bust = Fields(kind="fill", raw=data), event == "trade_bust"
    order = order_from_broker(data["order"])
    fill = _fill(fields, order)
    named = is_bust and not data.get("previous_execution_id")
    if not is_bust and data.get("previous_execution_id") == fill.fill_id:
        raise fields.unreadable("previous_execution_id")
    return FillRevision(
        client_order_id=order.client_order_id,
        previous_fill_id=fill.fill_id if named else fields.word("previous_execution_id"),
        # The order's filled quantity is the one after the revision, and not the one after the trade.
        fill=replace(fill, cumulative_quantity=None),
        is_bust=is_bust,
    )


def _fill(fields: Fields, order: BrokerOrder) -> FillReport:
    quantity, price = fields.amount("qty"), fields.amount("price")
    if quantity <= 0:
        raise fields.unreadable("qty")
    if price <= 0:
        raise fields.unreadable("price")
    return FillReport(
        fill_id=fields.word("execution_id"),
        order_id=order.order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=price,
        filled_at=fields.time("timestamp"),
        cumulative_quantity=order.filled_quantity,
    )
