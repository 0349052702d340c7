"""Find the other orders of a bracket, an OCO or an OTO."""

from workers.exchange.orders import WORKING, ExchangeOrder, ExchangeOrderStatus, OrderClass
from workers.exchange.venue import Venue


def others(venue: Venue, order: ExchangeOrder) -> list[ExchangeOrder]:
    """Return the other orders of the group of *order*."""
    parent = venue.orders[order.parent] if order.parent else order
    return [each for each in (parent, *(venue.orders[leg] for leg in parent.legs)) if each is not order]


def exits_beside(venue: Venue, order: ExchangeOrder) -> list[ExchangeOrder]:
    """Return the other exits in the group of *order*, which close the same position; none if it is an entry."""
    return [each for each in others(venue, order) if _is_exit(each)] if _is_exit(order) else []


def is_armed(venue: Venue, order: ExchangeOrder) -> bool:
    """Return whether *order* is a held stop that the price can trigger, because its take-profit is in the book."""
    if order.status is not ExchangeOrderStatus.HELD or order.stop_price is None:
        return False
    return any(each.status in WORKING for each in exits_beside(venue, order))


def _is_exit(order: ExchangeOrder) -> bool:
    return order.parent is not None or order.order_class is OrderClass.OCO
