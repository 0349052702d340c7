"""Divide the fee that the broker takes out of bought coins among the strategies; the record ignores it. Pure."""

from decimal import Decimal

from pipeline.model.symbols import AssetClass
from workers.rules.case import Case
from workers.rules.requested_size import exit_step
from workers.rules.sizing import rounded_down

# No broker takes a fee above this part of the coins.
_MOST = Decimal("0.01")
#: Quantities have at most nine decimals.
_FINEST = Decimal("0.000000001")


def paid_a_fee(case: Case, read: Decimal) -> bool:
    """Return whether the position *read* equals the coins that the strategies bought, by the record, less a fee."""
    recorded = case.own.recorded
    return case.signal.asset_class == AssetClass.CRYPTO and recorded * (1 - _MOST) <= read < recorded


def held_of(case: Case, own: Decimal, read: Decimal) -> Decimal:
    """Return how much of the position *read* belongs to a strategy that bought *own*. The fee is shared by quantity."""
    if not paid_a_fee(case, read) or not 0 < own < case.own.recorded:
        return min(read, own)
    return rounded_down(own * read / case.own.recorded, exit_step(case, read))


def covered(case: Case, quantity: Decimal, *, most: Decimal, bought: Decimal, read: Decimal) -> Decimal | None:
    """Return how much of what was *bought* an exit of *quantity* closes, the fee included; None: no fee was taken.

    *most* is what the fee left of the purchase: an exit of all of that ends the holding.
    """
    if not paid_a_fee(case, read) or most >= bought:
        return None
    return bought if quantity == most else (bought * quantity / most).quantize(_FINEST)
