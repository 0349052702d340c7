"""What one unit of an entry costs and risks at worst. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from workers.rules.case import Case
from workers.rules.orders import collared

# The broker counts a short at so much above the market's price.
_SHORT_MARGIN = Decimal("1.03")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The prices of an entry, in the account's currency per unit."""

    side: OrderSide
    #: The worst price to accept: the signal's and the collar.
    limit: Decimal
    #: What one unit is taken to cost, for every limit and for the reservation.
    price: Decimal
    #: The least that one unit may come to cost.
    lowest: Decimal
    #: What one unit may lose down to its stop, or to the stop that is assumed.
    risk: Decimal


def terms_of(case: Case, side: OrderSide, entry_price: Decimal, asset: Asset) -> Terms:
    """Return what one unit of this entry costs and risks, bought at the worst price that it accepts."""
    limit = collared(case, side, entry_price, asset)
    known = (entry_price,) if case.price is None else (entry_price, case.price)
    if side is OrderSide.SELL:
        price = max(limit, max(known) * _SHORT_MARGIN)
    elif case.executor.order.type == "limit":
        price = max(limit, entry_price)
    else:
        # A market order may cost as much as the collar would allow, and what the market asks by now.
        price = max(limit, *known)
    return Terms(side=side, limit=limit, price=price, lowest=min(limit, *known), risk=_risk(case, side, limit, price))


def _risk(case: Case, side: OrderSide, limit: Decimal, price: Decimal) -> Decimal:
    """Return the way from the worst fill to the stop; one on the wrong side of it is none."""
    stop = case.signal.stop_price
    bought = price if case.executor.order.type == "market" else limit
    if stop is not None:
        distance = bought - stop if side is OrderSide.BUY else stop - limit
        if distance > 0:
            return distance
    return price * case.executor.size.default_stop_percent / 100
