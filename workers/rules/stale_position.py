"""Hold an exit while the position as read may lack a recent fill: brokers' reads lag behind their fills. Pure."""

from datetime import timedelta
from decimal import Decimal

from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from workers.rules.case import Case, Hold
from workers.rules.coin_fees import paid_a_fee

#: For this long after a fill, a position that contradicts our record may have been read before the fill.
READS_LAG = timedelta(seconds=2)
_SOON = timedelta(seconds=0.25)


def hold_lagging(case: Case, side: OrderSide) -> Hold | None:
    """Return a hold if the position that sizes or refuses an exit may be older than our last fill."""
    changed_at, recorded = case.own.changed_at, case.own.recorded
    if changed_at is None or case.now - changed_at >= READS_LAG:
        return None
    read = case.position.quantity if case.position else Decimal(0)
    closes = max(read, recorded) > 0 if side is OrderSide.SELL else min(read, recorded) < 0
    if read == recorded or not closes or paid_a_fee(case, read):
        return None
    facts = {"symbol": case.signal.symbol, "read": read, "filled": recorded}
    # Each reading costs a request, so the pauses grow until the position is believed.
    since = case.now - changed_at
    return Hold(
        reason=Reason(code=Code.ACCOUNT_UNREADABLE, facts=facts), wait=min(max(_SOON, since), READS_LAG - since)
    )
