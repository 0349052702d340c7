"""Go, skip or hold: one signal at one executor, judged on the broker's position and money. Pure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pipeline.intake.routing import always_refused
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Intent
from pipeline.store.rows import OrderRow, Role
from workers.rules.case import Case, Hold, Skip, Verdict
from workers.rules.closed_market import hold_price, not_again
from workers.rules.entry import judge_entry
from workers.rules.exits import closable, judge_exit
from workers.rules.freshness import freshness
from workers.rules.orders import reduces, side_of
from workers.rules.stale_position import hold_lagging
from workers.rules.switches import PAUSE_WAIT, verdict_on

#: An exit looks again this often at what has to end before it.
_UNDER_WAY_WAIT = timedelta(seconds=0.5)


def decide(case: Case) -> Verdict:
    """Judge one case. An exit is what reduces the broker's position; all else is an entry."""
    refused = always_refused(case.signal, case.executor)
    if refused:
        return Skip(reasons=tuple(refused))
    held = case.position.quantity if case.position else Decimal(0)
    side = side_of(case.signal.action)
    closes = reduces(side, held)
    # Whatever may still change the position, or would meet this order in the market, comes to its end first.
    blocking = tuple(order for order in case.under_way if closes or order.side != side)
    if blocking:
        # Only what may exit cancels: nobody's entry ends for another entry, which may be refused after all.
        return _wait_for(blocking, cancels=case.signal.intent is not Intent.OPEN)
    lagging = hold_lagging(case, side)
    if lagging is not None:
        return lagging
    if closes and case.signal.intent is Intent.OPEN:
        facts = {"symbol": case.signal.symbol, "held": held}
        return Skip(reasons=(Reason(code=Code.POSITION_AGAINST, facts=facts),))
    return judge_exit(case, side, abs(held)) if closes else judge_entry(case, side)


def still_go(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Judge an intent that is to be sent again, go or no-go only: its body cannot change any more."""
    if intent.role is Role.EXIT:
        return _exits_still(case, intent)
    stale = freshness(case)
    reasons, paused = verdict_on(case.switches)
    if stale is not None:
        reasons.insert(0, stale)
    if reasons:
        return Skip(reasons=tuple(reasons))
    if paused is not None:
        return Hold(reason=paused, wait=PAUSE_WAIT)
    return not_again(case, intent) or hold_price(case)


def _exits_still(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Judge an exit that is to be sent again: all of it must still be its to close."""
    side = OrderSide(intent.side)
    waits = _wait_for(case.under_way) if case.under_way else hold_lagging(case, side)
    if waits is not None:
        return waits
    held = case.position.quantity if case.position else Decimal(0)
    reducible = max(closable(case, side, held if side is OrderSide.SELL else -held), Decimal(0))
    if intent.quantity > reducible:
        facts = {"held": reducible, "intended": intent.quantity}
        # What is left is closed by another order: the body of this one cannot change.
        code = Code.EXIT_NOT_DONE if reducible > 0 else Code.NO_POSITION
        return Skip(reasons=(Reason(code=code, facts=facts),))
    return not_again(case, intent)


def _wait_for(blocking: tuple[OrderRow, ...], *, cancels: bool = True) -> Hold:
    """Wait for orders that may still change the position, and cancel the entries among them."""
    first = blocking[0]
    entries = [order for order in blocking if order.role is Role.ENTRY] if cancels else []
    return Hold(
        reason=Reason(
            code=Code.ORDER_UNDER_WAY,
            facts={"order_id": first.order_id, "order_status": first.order_status or "unknown"},
        ),
        wait=_UNDER_WAY_WAIT,
        cancel=tuple(order.order_id for order in entries if order.order_id),
    )
