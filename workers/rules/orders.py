"""Compute the terms of an order: its side, its worst price and its time in force. Pure."""

from decimal import Decimal

from pipeline.model.account import Asset
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Action
from pipeline.model.symbols import AssetClass
from workers.rules.case import Case
from workers.rules.sizing import limit_price


def side_of(action: Action) -> OrderSide:
    """Return the side of an order for a signal's action."""
    return OrderSide.BUY if action is Action.BUY else OrderSide.SELL


def reduces(side: OrderSide, held: Decimal) -> bool:
    """Return whether an order of *side* reduces a position of *held* (signed)."""
    return held > 0 if side is OrderSide.SELL else held < 0


def collared(case: Case, side: OrderSide, price: Decimal, asset: Asset) -> Decimal:
    """Return the worst price to accept, from *price* and the executor's collar."""
    return limit_price(price, side=side, collar_percent=case.executor.order.collar_percent, asset=asset)


def time_in_force(asset_class: str) -> str:
    """Return the time in force of orders in this asset class."""
    return "gtc" if asset_class == AssetClass.CRYPTO else "day"
