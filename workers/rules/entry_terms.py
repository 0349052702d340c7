"""Compute the highest cost and risk of one unit of an entry. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from workers.rules.case import Case
from workers.rules.orders import collared

# The broker values a short sale at this multiple of the market's price.
_SHORT_MARGIN = Decimal("1.03")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The prices of an entry, in the account's currency per unit."""

    side: OrderSide
    #: The worst price to accept: the signal's price, moved by the collar.
    limit: Decimal
    #: The assumed cost of one unit, for every limit and for the reservation.
    price: Decimal
    #: The lowest possible cost of one unit.
    lowest: Decimal
    #: The possible loss of one unit down to its stop, or to the assumed stop.
    risk: Decimal


def terms_of(case: Case, side: OrderSide, entry_price: Decimal, asset: Asset) -> Terms:
    """Return the cost and risk of one unit, filled at the worst price that the entry accepts."""
    limit = collared(case, side, entry_price, asset)
    known = (entry_price,) if case.price is None else (entry_price, case.price)
    if side is OrderSide.SELL:
        price = max(limit, max(known) * _SHORT_MARGIN)
    elif case.executor.order.type == "limit":
        price = max(limit, entry_price)
    else:
        # A market order may cost as much as the collar allows, or the market's present price if that is higher.
        price = max(limit, *known)
    return Terms(side=side, limit=limit, price=price, lowest=min(limit, *known), risk=_risk(case, side, limit, price))


def _risk(case: Case, side: OrderSide, limit: Decimal, price: Decimal) -> Decimal:
    """Return the distance from the worst fill to the stop, or to the assumed stop if there is none beyond the fill."""
    stop = case.signal.stop_price
    bought = price if case.executor.order.type == "market" else limit
    if stop is not None:
        distance = bought - stop if side is OrderSide.BUY else stop - limit
        if distance > 0:
            return distance
    return price * case.executor.size.default_stop_percent / 100
