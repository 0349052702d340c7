"""Compute the terms of an order: its side, its worst price and its time in force. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from pipeline.model.account import Asset
from pipeline.model.orders import BrokerOrder, OrderSide
from pipeline.model.signals import Action
from pipeline.model.sources import has_final_limit
from pipeline.model.symbols import AssetClass
from pipeline.store.rows import Role
from workers.rules.case import Case
from workers.rules.sizing import limit_price

#: Actions whose side depends on the position.
EITHER_SIDE = frozenset({Action.FLAT, Action.REVERSE})


def side_for(case: Case) -> OrderSide:
    """Return the side of the order for a case's signal: for FLAT and REVERSE, the side that reduces the position."""
    if case.signal.action not in EITHER_SIDE:
        return side_of(case.signal.action)
    held = (case.position.quantity if case.position else Decimal(0)) or case.own.recorded
    if held:
        return OrderSide.SELL if held > 0 else OrderSide.BUY
    # Without a position, the orders under way show which side may be held soon.
    sells = any(order.side == OrderSide.SELL for order in case.under_way if order.role is not Role.PROTECTION)
    return OrderSide.BUY if sells else OrderSide.SELL


def side_of(action: Action) -> OrderSide:
    """Return the side of an order for a signal's action."""
    return OrderSide.BUY if action is Action.BUY else OrderSide.SELL


def reduces(side: OrderSide, held: Decimal) -> bool:
    """Return whether an order of *side* reduces a position of *held* (signed)."""
    return held > 0 if side is OrderSide.SELL else held < 0


def reduces_position(order: BrokerOrder, held: Mapping[str, Decimal] | None) -> bool:
    """Return whether *order* reduces one of the positions *held*. If these are not known (None), only a stop does."""
    return order.stop is not None if held is None else reduces(order.side, held.get(order.symbol, Decimal(0)))


def exit_limit(case: Case, side: OrderSide, price: Decimal) -> Decimal:
    """Return the limit of an exit at *price*: moved by the collar, unless it is a person's final limit."""
    if case.asset is None:
        return price
    if has_final_limit(case.signal.source, price):
        return limit_price(price, side=side, collar_percent=Decimal(0), asset=case.asset)
    return collared(case, side, price, case.asset)


def collared(case: Case, side: OrderSide, price: Decimal, asset: Asset) -> Decimal:
    """Return the worst price to accept, from *price* and the executor's collar."""
    return limit_price(price, side=side, collar_percent=case.executor.order.collar_percent, asset=asset)


def time_in_force(asset_class: str) -> str:
    """Return the time in force of orders in this asset class."""
    return "gtc" if asset_class == AssetClass.CRYPTO else "day"
