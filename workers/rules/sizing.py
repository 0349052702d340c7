"""Compute the size of an order in units of the asset, reduced by every cap, in the broker's increments. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from typing import Any

from config.schema.sections import SizeSettings
from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass

_HUNDRED = Decimal(100)
_ZERO = Decimal(0)
_CENT = Decimal("0.01")
# Below one dollar, the trading API accepts prices with at most four decimals (error "sub-penny increment").
_SUB_DOLLAR_TICK = Decimal("0.0001")
# The increment for a crypto asset whose data has none.
CRYPTO_INCREMENT = Decimal("0.000001")
# Fractions of a share have up to nine decimals.
FRACTION = Decimal("0.000000001")
# The smallest cost of an order. The broker's asset data do not include it.
_CRYPTO_MINIMUM_COST = Decimal(10)
_FRACTION_MINIMUM_COST = Decimal(1)
# A quotient that is rounded up could exceed the room.
_DOWN = Context(prec=28, rounding=ROUND_DOWN)


@dataclass(frozen=True, kw_only=True)
class Cap:
    """The most units that one limit still allows, and the figures behind it."""

    code: Code
    quantity: Decimal
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lot:
    """The increment of an asset's quantities, and its smallest order, in units."""

    step: Decimal
    least: Decimal


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A quantity to order, in units."""

    quantity: Decimal


@dataclass(frozen=True, kw_only=True)
class TooSmall:
    """No order. Each reason alone made it too small."""

    reasons: tuple[Reason, ...]


def scale(size: SizeSettings, *, confidence: Decimal, minimum_confidence: Decimal) -> Decimal:
    """Return the factor for *confidence*: 1 at the minimum, `scale_at_100` at 100, a straight line between."""
    span = _HUNDRED - minimum_confidence
    if span <= 0 or confidence <= minimum_confidence:
        return Decimal(1)
    return 1 + (confidence - minimum_confidence) / span * (size.scale_at_100 - 1)


def calm(size: SizeSettings, *, volatility_percent: Decimal | None) -> Decimal:
    """Return the factor for a symbol's volatility: target / volatility, at most the maximum; 1 when it is unknown."""
    target = size.volatility_target_percent
    if target is None or volatility_percent is None or volatility_percent <= 0:
        return Decimal(1)
    return min(target / volatility_percent, size.volatility_scale_maximum)


def configured(size: SizeSettings, *, factor: Decimal, equity: Decimal, price: Decimal, risk: Decimal) -> Decimal:
    """Return the units that the settings ask for, before any cap.

    *price* is the assumed cost of one unit, *risk* its possible loss down to its stop.
    """
    match size.method:
        case "equity_percent":
            return affordable(equity * size.value * factor / _HUNDRED, price)
        case "risk_percent":
            return affordable(equity * size.value * factor / _HUNDRED, risk)
        case "notional":
            return affordable(size.value * factor, price)
        case "quantity":
            return size.value * factor


def affordable(room: Decimal, per_unit: Decimal) -> Decimal:
    """Return the number of units at *per_unit* that fit into *room*, never rounded up; 0 when there is no room."""
    return _DOWN.divide(max(room, _ZERO), per_unit)


def lot(size: SizeSettings, asset: Asset, *, side: OrderSide, price: Decimal) -> Lot:
    """Return the lot of *asset* when one unit costs at least *price*. Fractions of a share are never shorted."""
    crypto = asset.asset_class == AssetClass.CRYPTO
    fractional = not crypto and size.fractional and asset.fractionable and side is OrderSide.BUY
    step = FRACTION if fractional else increment(asset)
    cost = _CRYPTO_MINIMUM_COST if crypto else _FRACTION_MINIMUM_COST if fractional else _ZERO
    return Lot(step=step, least=max(step, _up(asset.min_order_size or _ZERO, step), _up(cost / price, step)))


def entry_quantity(wanted: Decimal, *, caps: Sequence[Cap], lot: Lot, asset: Asset) -> Sized | TooSmall:
    """Return the largest quantity within *wanted* and every cap, or every reason that made it too small."""
    short = [cap for cap in caps if rounded_down(cap.quantity, lot.step) < lot.least]
    reasons = [Reason(code=cap.code, facts={**cap.facts, "least": lot.least}) for cap in short]
    if rounded_down(wanted, lot.step) < lot.least:
        share = asset.asset_class == AssetClass.US_EQUITY and lot.step == 1
        code = Code.BELOW_ONE_SHARE if share else Code.BELOW_MINIMUM_QUANTITY
        facts = {"size": wanted.quantize(CRYPTO_INCREMENT, ROUND_DOWN), "least": lot.least}
        reasons.insert(0, Reason(code=code, facts=facts))
    if reasons:
        return TooSmall(reasons=tuple(reasons))
    return Sized(quantity=rounded_down(min([wanted, *(cap.quantity for cap in caps)]), lot.step))


def exit_quantity(held: Decimal, *, requested: Decimal | None) -> Decimal:
    """Return how much of *held* (unsigned) an exit closes: at most what is held."""
    return held if requested is None else min(held, requested)


def limit_price(signal_price: Decimal, *, side: OrderSide, collar_percent: Decimal, asset: Asset) -> Decimal:
    """Return the worst price to accept: the signal's price moved by the collar, and rounded to a tick inside it."""
    part = collar_percent / _HUNDRED
    raw = signal_price * (1 + part if side is OrderSide.BUY else 1 - part)
    step = tick(raw, asset)
    return (raw / step).to_integral_value(ROUND_DOWN if side is OrderSide.BUY else ROUND_UP) * step


def tick(price: Decimal, asset: Asset) -> Decimal:
    """Return the smallest step of a price of this asset."""
    if asset.price_increment:
        return asset.price_increment
    if asset.asset_class == AssetClass.CRYPTO:
        return Decimal("0.000000001") if price < 1 else _CENT
    return _CENT if price >= 1 else _SUB_DOLLAR_TICK


def increment(asset: Asset) -> Decimal:
    """Return the smallest step of a quantity: whole shares, or the broker's increment for crypto."""
    if asset.asset_class == AssetClass.US_EQUITY:
        return Decimal(1)
    return asset.min_trade_increment or CRYPTO_INCREMENT


def rounded_down(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of *step* that is not above *value*."""
    return _DOWN.divide(value, step).to_integral_value(ROUND_DOWN) * step


def _up(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_UP) * step
