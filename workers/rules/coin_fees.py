"""Divide among the strategies the fee that the broker takes out of bought coins. The record does not know it. Pure."""

from decimal import Decimal

from pipeline.model.symbols import AssetClass
from workers.rules.case import Case
from workers.rules.requested_size import exit_step
from workers.rules.sizing import rounded_down

# A larger part of the coins than this is no fee.
_MOST = Decimal("0.01")
#: Quantities have at most nine decimals.
_FINEST = Decimal("0.000000001")


def paid_a_fee(case: Case, read: Decimal) -> bool:
    """Return whether *read*, the broker's position in a coin, is below the recorded one by at most the largest fee."""
    return case.signal.asset_class == AssetClass.CRYPTO and is_a_fee(case.own.recorded, read)


def is_a_fee(recorded: Decimal, read: Decimal) -> bool:
    """Return whether *read*, the broker's position in a coin, is below *recorded* by at most the largest fee."""
    return recorded * (1 - _MOST) <= read < recorded


def held_of(case: Case, own: Decimal, read: Decimal) -> Decimal:
    """Return how much of the position *read* belongs to a strategy that, by the record, holds *own*.

    Each strategy bears the fee in proportion to its quantity.
    """
    if not paid_a_fee(case, read) or not 0 < own < case.own.recorded:
        return min(read, own)
    return rounded_down(own * read / case.own.recorded, exit_step(case, read))


def covered(case: Case, quantity: Decimal, *, most: Decimal, bought: Decimal, read: Decimal) -> Decimal | None:
    """Return how much of the recorded holding *bought* an exit of *quantity* closes; None: no fee was taken.

    *most* is what is left of *bought* after the fee. An exit of *most* closes all of *bought*.
    """
    if not paid_a_fee(case, read) or most >= bought:
        return None
    return bought if quantity == most else (bought * quantity / most).quantize(_FINEST)
