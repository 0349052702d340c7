"""Follow an order that was replaced at the broker to its replacement."""

from dataclasses import replace
from decimal import Decimal

from pipeline.model.orders import BrokerOrder, OrderStatus
from workers.brokers.protocol import Broker, CancelAnswer

# The most replacements that are followed: a person may replace an order again and again.
_MOST = 20


def is_replaced(order: BrokerOrder) -> bool:
    """Return whether another order has replaced this one."""
    return order.status is OrderStatus.REPLACED and order.replaced_by is not None


def newest(broker: Broker, order: BrokerOrder) -> BrokerOrder | None:
    """Return *order* with the status of its newest replacement, and the fills of all these orders together.

    None: the broker does not show a replacement yet, or there are too many. Raises what `Broker.order` raises.
    """
    for _ in range(_MOST):
        if not is_replaced(order):
            return order
        following = broker.order(str(order.replaced_by))
        if following is None:
            return None
        order = _joined(order, following)
    return None


def in_its_place(broker: Broker, order_id: str) -> BrokerOrder | None:
    """Return the order, or the newest of its replacements that the broker shows, with the terms of that replacement."""
    order = broker.order(order_id)
    for _ in range(_MOST):
        if order is None or not is_replaced(order):
            break
        following = broker.order(str(order.replaced_by))
        if following is None:
            break
        order = following
    return order


def cancel_newest(broker: Broker, order_id: str) -> CancelAnswer:
    """Ask for a cancel of an order, or of its newest replacement. Raises what `Broker.cancel` and `.order` raise."""
    answer = broker.cancel(order_id)
    for _ in range(_MOST):
        if answer:
            break
        order = broker.order(order_id)
        if order is None or not is_replaced(order):
            break
        order_id = str(order.replaced_by)
        answer = broker.cancel(order_id)
    return answer


def _joined(order: BrokerOrder, following: BrokerOrder) -> BrokerOrder:
    """Return *order* with the status of *following* and both fills, but with its own ids and terms, as recorded."""
    filled = order.filled_quantity + following.filled_quantity
    parts = [part for part in (order, following) if part.filled_quantity and part.filled_average_price is not None]
    value = sum((part.filled_quantity * (part.filled_average_price or Decimal(0)) for part in parts), Decimal(0))
    works = following.status is OrderStatus.WORKING and filled > 0
    return replace(
        order,
        filled_quantity=filled,
        replacement_quantity=None if following.quantity is None else order.filled_quantity + following.quantity,
        replacement_ids=(*order.replacement_ids, following.order_id),
        filled_average_price=value / filled if filled and parts else None,
        status=OrderStatus.PARTIALLY_FILLED if works else following.status,
        raw_status=following.raw_status,
        replaced_by=following.replaced_by if is_replaced(following) else None,
    )
