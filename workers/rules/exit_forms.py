"""Bring an exit into the form that the broker takes: whole units now, the rest at the open, or never. Pure."""

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass
from workers.brokers.protocol import RefusalKind
from workers.rules.case import Case, Go, Hold, Skip
from workers.rules.closed_market import hold_exit
from workers.rules.sizing import increment

_ZERO = Decimal(0)
_WHOLE = Decimal(1)
#: Quantities have at most nine decimals.
_FINEST = Decimal("0.000000001")


def take_form(case: Case, go: Go) -> Go | Hold | Skip:
    """Return the exit rounded toward less; a skip when the broker never takes it, and a hold when it does later."""
    most = _down(go.quantity, _step(case))
    dust = go.quantity - most
    if most == 0:
        facts = {"dust": go.quantity, "symbol": case.signal.symbol}
        return Skip(reasons=(Reason(code=Code.DUST, facts=facts),))
    now = _down(most, _WHOLE) if go.extended_hours and not _fractions_out_of_hours(case) else most
    if now == 0:
        return hold_exit(case, limited=False) or replace(
            go, quantity=most, type="market", limit_price=None, extended_hours=False, dust=dust
        )
    return replace(go, quantity=now, rest=go.rest + most - now, dust=dust)


def _step(case: Case) -> Decimal:
    """Return the step of the quantities that the broker ever takes."""
    asset = case.asset
    if case.signal.asset_class == AssetClass.CRYPTO:
        return increment(asset) if asset is not None and asset.min_trade_increment else _FINEST
    refused = case.refused is RefusalKind.NOT_FRACTIONABLE
    return _WHOLE if refused or (asset is not None and asset.whole_only) else _FINEST


def _fractions_out_of_hours(case: Case) -> bool:
    return case.asset is not None and case.asset.fractional_extended


def _down(value: Decimal, step: Decimal) -> Decimal:
    found = (value / step).to_integral_value(ROUND_DOWN) * step
    return found or _ZERO
