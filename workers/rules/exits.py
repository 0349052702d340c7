"""Judge an exit: how much of the position it closes, and with which order. Pure."""

from __future__ import annotations

from decimal import Decimal

from pipeline.store.rows import Role
from workers.brokers.orders import Side
from workers.rules.case import Case, Go
from workers.rules.orders import collared, time_in_force
from workers.sizing import exit_quantity


def judge_exit(case: Case, side: Side, held: Decimal) -> Go:
    """Return the order that closes what is *held* (unsigned), or the part that was asked for."""
    signal, asset = case.signal, case.asset
    quantity = exit_quantity(held, requested=signal.quantity)
    price = signal.entry_price
    reference = price or (case.position.current_price if case.position else None) or Decimal(1)
    limited = case.executor.order.type == "limit" and price is not None and asset is not None
    return Go(
        role=Role.EXIT,
        side=side,
        quantity=quantity,
        type="limit" if limited else "market",
        limit_price=collared(case, side, price, asset) if limited and price and asset else None,
        time_in_force=time_in_force(case.signal.asset_class),
        reference_price=reference,
    )
