"""Whether the position as read may lack what was filled a moment ago: brokers' reads lag behind their fills. Pure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass
from workers.rules.case import Case, Hold

#: So long after a fill a reading that contradicts our record may be of before it; later the broker's word stands.
READS_LAG = timedelta(seconds=2)
_SOON = timedelta(seconds=0.25)
# Fees of crypto are taken out of what is bought: no broker takes more.
_MOST_FEES = Decimal("0.01")


def hold_lagging(case: Case, side: OrderSide) -> Hold | None:
    """Wait before an exit is sized, or refused for want of a position, on a reading that a fill may have outrun."""
    changed_at, recorded = case.own.changed_at, case.own.recorded
    if changed_at is None or case.now - changed_at >= READS_LAG:
        return None
    read = case.position.quantity if case.position else Decimal(0)
    closes = max(read, recorded) > 0 if side is OrderSide.SELL else min(read, recorded) < 0
    if read == recorded or not closes or _paid_a_fee(case, read, recorded):
        return None
    facts = {"symbol": case.signal.symbol, "read": read, "filled": recorded}
    return Hold(reason=Reason(code=Code.ACCOUNT_UNREADABLE, facts=facts), wait=_SOON)


def _paid_a_fee(case: Case, read: Decimal, recorded: Decimal) -> bool:
    return case.signal.asset_class == AssetClass.CRYPTO and recorded * (1 - _MOST_FEES) <= read <= recorded
