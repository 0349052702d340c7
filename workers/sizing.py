"""How much: a size in units of the asset from the executor's settings and the account. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from config.sections import Size
from pipeline.reasons import Code, Reason
from pipeline.symbols import AssetClass
from workers.brokers.holdings import Asset
from workers.brokers.orders import Side

_HUNDRED = Decimal(100)
_CENT = Decimal("0.01")
# Below a dollar the broker takes four decimals: facts of the trading API, "sub-penny increment".
_SUB_DOLLAR_TICK = Decimal("0.0001")
# What crypto assets allow when the broker's asset says nothing.
_CRYPTO_INCREMENT = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class Funds:
    """What an entry may draw on, in the account's currency."""

    equity: Decimal
    #: After the share that the executor leaves untouched and what other entries have reserved.
    spendable: Decimal


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A quantity to order, in units."""

    quantity: Decimal


@dataclass(frozen=True, kw_only=True)
class TooSmall:
    """No order: the reason names the cap that made it too small."""

    reason: Reason


def scale(size: Size, *, confidence: Decimal, minimum_confidence: Decimal) -> Decimal:
    """Return the factor for *confidence*: 1 at the minimum, `scale_at_100` at 100, a straight line between."""
    span = _HUNDRED - minimum_confidence
    if span <= 0 or confidence <= minimum_confidence:
        return Decimal(1)
    return 1 + (confidence - minimum_confidence) / span * (size.scale_at_100 - 1)


def entry_quantity(
    size: Size, *, factor: Decimal, price: Decimal, funds: Funds, asset: Asset, requested: Decimal | None
) -> Sized | TooSmall:
    """Size an entry at *price* per unit, whole shares for stocks.

    A *requested* quantity replaces the configured size and is cut by the same caps.
    """
    wanted = requested
    if wanted is None:
        wanted = _configured(size, factor=factor, price=price, equity=funds.equity)
    if wanted is None:
        return TooSmall(reason=Reason(code=Code.SIZE_METHOD_NOT_ENFORCED, facts={"method": size.method}))
    if size.maximum_percent is not None:
        wanted = min(wanted, funds.equity * size.maximum_percent / _HUNDRED / price)
    step = increment(asset)
    affordable = _down(max(funds.spendable, Decimal(0)) / price, step)
    quantity = min(_down(wanted, step), affordable)
    least = max(step, asset.min_order_size or Decimal(0))
    if quantity >= least:
        return Sized(quantity=quantity)
    if _down(wanted, step) >= least:
        facts = {"spendable": _cents(funds.spendable), "price": price, "least": least}
        return TooSmall(reason=Reason(code=Code.BUYING_POWER_USED_UP, facts=facts))
    facts = {
        "size": wanted.quantize(_CRYPTO_INCREMENT),
        "price": price,
        "equity": _cents(funds.equity),
        "least": least,
    }
    code = Code.BELOW_ONE_SHARE if asset.asset_class == AssetClass.US_EQUITY else Code.BELOW_MINIMUM_QUANTITY
    return TooSmall(reason=Reason(code=code, facts=facts))


def exit_quantity(held: Decimal, *, requested: Decimal | None) -> Decimal:
    """Return how much of *held* (unsigned) an exit closes: at most what is held."""
    return held if requested is None else min(held, requested)


def limit_price(signal_price: Decimal, *, side: Side, collar_percent: Decimal, asset: Asset) -> Decimal:
    """Return the worst price to accept: the signal's, moved by the collar, on the broker's tick, inside the collar."""
    part = collar_percent / _HUNDRED
    raw = signal_price * (1 + part if side is Side.BUY else 1 - part)
    step = tick(raw, asset)
    return (raw / step).to_integral_value(ROUND_DOWN if side is Side.BUY else ROUND_UP) * step


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
    return asset.min_trade_increment or _CRYPTO_INCREMENT


def _configured(size: Size, *, factor: Decimal, price: Decimal, equity: Decimal) -> Decimal | None:
    match size.method:
        case "equity_percent":
            return equity * size.value * factor / _HUNDRED / price
        case "notional":
            return size.value * factor / price
        case "quantity":
            return size.value * factor
        case _:
            return None


def _down(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_DOWN) * step


def _cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT)
