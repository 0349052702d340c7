"""Decide whether the price fills an order, and at what price. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from workers.exchange.orders import ExchangeOrder, ExchangeSide, OrderType

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The effect of a price on an order: *fill* is the price to fill at, or None when the order rests."""

    fill: Decimal | None = None
    triggered: bool = False
    hwm: Decimal | None = None
    stop_price: Decimal | None = None


def match(order: ExchangeOrder, price: Decimal, *, arriving: bool) -> Match:
    """Match *order* against the current *price*.

    An order that is marketable as it arrives fills at the price, which may be better than its limit. A resting order
    fills at its limit when the price reaches it. A stop becomes a market order when its price is touched.
    """
    match order.type:
        case OrderType.MARKET:
            return Match(fill=price)
        case OrderType.LIMIT:
            return Match(fill=_limit(order, price, arriving=arriving))
        case OrderType.TRAILING_STOP:
            return _trail(order, price)
        case OrderType.STOP | OrderType.STOP_LIMIT:
            if not order.triggered and not _touched(order, price, order.stop_price):
                return Match()
            if order.type is OrderType.STOP:
                return Match(fill=price, triggered=True)
            # A stop-limit order enters the book as a limit order when its stop price is touched.
            fill = _limit(order, price, arriving=arriving or not order.triggered)
            return Match(fill=fill, triggered=True)


def _limit(order: ExchangeOrder, price: Decimal, *, arriving: bool) -> Decimal | None:
    limit = order.limit_price
    if limit is None:
        return None
    marketable = price <= limit if order.side is ExchangeSide.BUY else price >= limit
    if not marketable:
        return None
    return price if arriving else limit


def _touched(order: ExchangeOrder, price: Decimal, stop: Decimal | None) -> bool:
    if stop is None:
        return False
    return price >= stop if order.side is ExchangeSide.BUY else price <= stop


def _trail(order: ExchangeOrder, price: Decimal) -> Match:
    best = order.hwm if order.hwm is not None else price
    best = min(best, price) if order.side is ExchangeSide.BUY else max(best, price)
    away = order.trail_price if order.trail_price is not None else best * (order.trail_percent or 0) / 100
    stop = (best + away if order.side is ExchangeSide.BUY else best - away).quantize(_CENT)
    touched = _touched(order, price, stop)
    return Match(fill=price if touched else None, triggered=touched, hwm=best, stop_price=stop)
