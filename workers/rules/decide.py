"""Decide whether a signal is sent, skipped or held at one executor, given the broker's position and money. Pure."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from config.schema.executor import ExecutorSettings
from pipeline.intake.routing import always_refused
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import PROTECT
from pipeline.store.rows import OrderRow, OrderUnderWay, Role, SignalRow
from workers.rules.case import Case, Hold, Skip, Verdict
from workers.rules.closed_market import hold_price, not_again
from workers.rules.entry import decide_entry
from workers.rules.exits import closable, closes_the_account, decide_exit, may_enter
from workers.rules.freshness import freshness
from workers.rules.holds import hold_refused, hold_unreconciled
from workers.rules.orders import EITHER_SIDE, reduces, side_for, side_of
from workers.rules.protection import (
    decide_protection,
    hold_for_filled_stop,
    hold_for_protections,
    protection_still_goes,
)
from workers.rules.repeats import refusal
from workers.rules.stale_position import hold_lagging
from workers.rules.switches import PAUSE_WAIT, verdict_on

#: An exit checks this often whether the orders before it have ended.
_UNDER_WAY_WAIT = timedelta(seconds=0.5)


def decide(case: Case) -> Verdict:
    """Decide on one case. A signal that reduces the position is an exit, any other an entry or a stop order."""
    refused = _refused(case)
    if refused:
        return Skip(reasons=tuple(refused))
    stop_order = decide_protection(case) if case.signal.source == PROTECT else None
    return stop_order or _decide(case)


def _decide(case: Case) -> Verdict:
    held = case.position.quantity if case.position else Decimal(0)
    side, either = side_for(case), case.signal.action in EITHER_SIDE
    closes = reduces(side, held)
    has_to_close = _has_to_close(case, side, abs(held) if closes else Decimal(0))
    waits = wait_for_symbol(
        case.signal, case.executor, case.under_way, closes=closes or either, has_to_close=has_to_close
    )
    if waits is not None:
        return waits
    lagging = hold_lagging(case, side)
    if lagging is not None:
        return lagging
    if closes and case.signal.intent is Intent.OPEN:
        facts = {"symbol": case.signal.symbol, "held": held}
        return Skip(reasons=(Reason(code=Code.POSITION_AGAINST, facts=facts),))
    if case.signal.action is Action.REVERSE and not closes:
        # The other side is an entry of its own, which follows a close.
        return Skip(reasons=(Reason(code=Code.NO_POSITION, facts={"symbol": case.signal.symbol}),))
    if closes:
        return _named(case, side, decide_exit(case, side, abs(held)))
    return hold_for_filled_stop(case) or decide_entry(case, side)


def _named(case: Case, side: OrderSide, verdict: Verdict) -> Verdict:
    """Add the side of the close to the hold of a REVERSE: if others close the position first, the keeper needs it."""
    if case.signal.action is not Action.REVERSE or not isinstance(verdict, Hold):
        return verdict
    facts = {**verdict.reason.facts, "closes": side.value}
    return replace(verdict, reason=replace(verdict.reason, facts=facts))


def _refused(case: Case) -> list[Reason]:
    """Return the reasons that apply to exits too."""
    reasons = always_refused(case.signal, case.executor)
    # A REVERSE that came twice must not turn the position back, nor end the entry that the first one opens.
    repeated = refusal(case) if case.signal.action is Action.REVERSE else None
    return reasons if repeated is None else [*reasons, repeated]


def wait_for_symbol(
    signal: SignalRow,
    executor: ExecutorSettings,
    under_way: tuple[OrderUnderWay, ...],
    *,
    closes: bool,
    has_to_close: bool,
) -> Hold | None:
    """Return a hold if other orders may still change the position, or could trade against the new order; else None.

    Args:
        signal: The signal to decide on.
        executor: Its executor.
        under_way: Our other orders in the symbol that may still fill.
        closes: The signal is an exit: it reduces the position, or may do nothing else.
        has_to_close: The exit may close a part of the position, or what an entry of *under_way* fills.
    """
    # An exit that has nothing to close waits for no order and cancels none: it is skipped.
    if not has_to_close and not may_enter(signal, executor):
        return None
    # Stops rest for days. `decide_exit` cancels those that are in its way, and no entry is sent while one rests.
    others = (order for order in under_way if order.role is not Role.PROTECTION)
    blocking = tuple(order for order in others if closes or order.side != side_of(signal.action))
    return _wait_for(blocking, cancels=has_to_close and signal.intent is not Intent.OPEN) if blocking else None


def still_go(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Return why an intent must not be sent again, or None. The intent cannot change any more."""
    if intent.role is Role.EXIT:
        return _exit_still_goes(case, intent)
    if intent.role is Role.PROTECTION:
        return protection_still_goes(case, intent)
    stale = freshness(case)
    reasons, paused = verdict_on(case.switches)
    if stale is not None:
        reasons.insert(0, stale)
    if reasons:
        return Skip(reasons=tuple(reasons))
    if paused is not None:
        return Hold(reason=paused, wait=PAUSE_WAIT)
    return not_again(case, intent) or hold_price(case) or hold_refused(case) or hold_unreconciled(case)


def _exit_still_goes(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Return why an exit must not be sent again, for example because less than its quantity can still be closed."""
    side = OrderSide(intent.side)
    others = tuple(order for order in case.under_way if order.role is not Role.PROTECTION)
    whole = closes_the_account(case.executor, case.signal.source)
    closed = not_again(case, intent)
    # While the market is closed, the exit cannot be sent, so it must not cancel the stop.
    stopped = None if closed is not None else hold_for_protections(case, side, whole=whole)
    waits = _wait_for(others) if others else stopped or hold_lagging(case, side)
    if waits is not None:
        return waits
    held = case.position.quantity if case.position else Decimal(0)
    reducible = max(closable(case, side, held if side is OrderSide.SELL else -held), Decimal(0))
    if intent.quantity > reducible:
        facts = {"held": reducible, "intended": intent.quantity}
        # This order cannot change, so another exit closes the rest.
        code = Code.EXIT_NOT_DONE if reducible > 0 else Code.NO_POSITION
        return Skip(reasons=(Reason(code=code, facts=facts),))
    return closed


def _has_to_close(case: Case, side: OrderSide, held: Decimal) -> bool:
    """Return whether the signal may close a part of the position, or what a working entry fills."""
    if closable(case, side, held) > 0:
        return True
    whole, either = closes_the_account(case.executor, case.signal.source), case.signal.action in EITHER_SIDE
    return any(
        order.role is Role.ENTRY
        and (either or order.side != side)
        and (whole or order.strategy == (case.signal.strategy or ""))
        for order in case.under_way
    )


def _wait_for(blocking: tuple[OrderUnderWay, ...], *, cancels: bool = True) -> Hold:
    """Wait for orders that may still change the position. With *cancels*, cancel entries and replace limit closes."""
    first = blocking[0]
    ended = blocking if cancels else ()
    return Hold(
        reason=Reason(
            code=Code.ORDER_UNDER_WAY,
            facts={"order_id": first.order_id, "order_status": first.order_status or "unknown"},
        ),
        wait=_UNDER_WAY_WAIT,
        cancel=tuple(order.order_id for order in ended if order.role is Role.ENTRY and order.order_id),
        replaces=tuple(order.order_id for order in ended if order.is_limit_close and order.order_id),
    )
