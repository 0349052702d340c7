"""Bring an exit into a form that the broker accepts: outside regular hours, that may be whole units only. Pure."""

from dataclasses import replace
from decimal import Decimal

from pipeline.model.reasons import Code, Reason
from pipeline.model.sources import has_final_limit
from pipeline.model.symbols import AssetClass
from workers.brokers.protocol import RefusalKind
from workers.rules.case import Case, Go, Hold, Skip
from workers.rules.closed_market import hold_exit
from workers.rules.sizing import increment, rounded_down

_WHOLE = Decimal(1)
#: Quantities have at most nine decimals.
_FINEST = Decimal("0.000000001")


def take_form(case: Case, go: Go) -> Go | Hold | Skip:
    """Return the exit rounded down to a quantity that the broker accepts now.

    Return a skip if the broker never accepts any of it, and a hold if it does so later.
    """
    most = taken(case, go.quantity)
    dust = go.quantity - most
    if most == 0:
        facts = {"dust": go.quantity, "symbol": case.signal.symbol}
        return Skip(reasons=(Reason(code=Code.DUST, facts=facts),))
    now = rounded_down(most, _WHOLE) if go.extended_hours and not _fractions_out_of_hours(case) else most
    if now == 0:
        regular = replace(go, quantity=most, extended_hours=False, dust=dust)
        if not has_final_limit(case.signal.source, case.signal.entry_price):
            regular = replace(regular, type="market", limit_price=None)
        return hold_exit(case, limited=False) or regular
    return replace(go, quantity=now, rest=go.rest + most - now, dust=dust)


def taken(case: Case, quantity: Decimal) -> Decimal:
    """Return how much of *quantity* the broker ever accepts: a multiple of the asset's increment."""
    return rounded_down(quantity, _step(case))


def _step(case: Case) -> Decimal:
    """Return the finest increment of quantities that the broker ever accepts."""
    asset = case.asset
    if case.signal.asset_class == AssetClass.CRYPTO:
        return increment(asset) if asset is not None and asset.min_trade_increment else _FINEST
    refused = case.refused.kind is RefusalKind.NOT_FRACTIONABLE
    return _WHOLE if refused or (asset is not None and asset.whole_only) else _FINEST


def _fractions_out_of_hours(case: Case) -> bool:
    return case.asset is not None and case.asset.fractional_extended
