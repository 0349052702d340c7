"""Compute the size that a signal itself asks for, in units of the asset. Pure."""

from decimal import Decimal

from pipeline.model.signals import Action
from pipeline.model.symbols import AssetClass
from workers.rules.case import Case
from workers.rules.sizing import CRYPTO_INCREMENT, FRACTION, affordable, exit_quantity, increment, rounded_down

_HUNDRED = Decimal(100)


def requested_units(case: Case, *, per_unit: Decimal) -> Decimal | None:
    """Return the units that the signal asks for, at *per_unit*; None: the executor chooses the size."""
    signal = case.signal
    if signal.quantity is not None:
        return signal.quantity
    if signal.notional is not None:
        return affordable(signal.notional, per_unit)
    if signal.equity_percent is not None:
        return affordable(case.account.equity * signal.equity_percent / _HUNDRED, per_unit)
    return None


def exit_units(case: Case, most: Decimal, *, per_unit: Decimal) -> Decimal:
    """Return how much of *most* an exit closes: what the signal asks for, else all of it."""
    signal = case.signal
    if signal.action is Action.REVERSE:
        # The size in a REVERSE is that of the new position.
        return most
    if signal.close_percent is not None:
        if signal.close_percent == _HUNDRED:
            return most
        return rounded_down(most * signal.close_percent / _HUNDRED, exit_step(case, most))
    requested = requested_units(case, per_unit=per_unit)
    if requested is not None and signal.quantity is None:
        requested = rounded_down(requested, exit_step(case, most))
    return exit_quantity(most, requested=requested)


def exit_step(case: Case, most: Decimal) -> Decimal:
    """Return the increment for a part of *most*: fractions of a share only if held, or with `size.fractional`."""
    asset = case.asset
    if case.signal.asset_class == AssetClass.CRYPTO:
        return CRYPTO_INCREMENT if asset is None else increment(asset)
    fractional = most != most.to_integral_value()
    # If the asset could not be read, fractions are assumed to be allowed when some are held.
    if asset is not None:
        fractional = asset.fractionable and (fractional or case.executor.size.fractional)
    return FRACTION if fractional else Decimal(1)
