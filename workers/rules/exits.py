"""Decide on an exit: how much of the position it closes, and with which order. Pure."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from config.schema.executor import ExecutorSettings
from config.schema.fields import plain
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import HAND, OWN, PROTECT, PROTECT_RETRY, has_final_limit, is_own
from pipeline.store.rows import Role
from workers.rules.case import Case, Go, Hold, Skip, Verdict
from workers.rules.closed_market import hold_exit, out_of_hours
from workers.rules.coin_fees import covered, held_of
from workers.rules.exit_forms import take_form
from workers.rules.obstacles import clear_way
from workers.rules.orders import exit_limit, time_in_force
from workers.rules.protection import hold_for_protections
from workers.rules.requested_size import exit_step, exit_units
from workers.rules.switches import PAUSE_WAIT

#: After this long without a fill, a market order follows an exit's limit order, unless a person gave the limit.
RESTS_AT_MOST = timedelta(seconds=15)
#: The sources of exits that are repeated until the account's whole position is closed, whichever strategy opened it.
CLOSES_THE_ACCOUNT = frozenset({f"{OWN}flatten", f"{OWN}flat_by"})


class Directed(Protocol):
    """The part of a signal that decides whether it may open a position."""

    @property
    def action(self) -> Action:
        """BUY or SELL, or an action whose side depends on the position."""

    @property
    def intent(self) -> Intent:
        """Open, close, or auto."""


def decide_exit(case: Case, side: OrderSide, held: Decimal) -> Verdict:
    """Return the order that closes the signal's part of *held* (unsigned), or the quantity that the signal asks for."""
    most = closable(case, side, held)
    if most <= 0:
        return _hold_restored(case, held) or _nothing_own(case, side, held)
    waits = _too_young(case)
    if waits is not None:
        return waits
    price = case.signal.entry_price
    reference = price or (case.position.current_price if case.position else None) or Decimal(1)
    limited = _is_limited(case)
    closed = hold_exit(case, limited=limited)
    if closed is not None:
        return closed
    limit = exit_limit(case, side, price) if limited and price is not None else None
    quantity = exit_units(case, most, per_unit=limit or reference)
    if quantity <= 0:
        least = exit_step(case, most)
        code = Code.BELOW_MINIMUM_QUANTITY if least < 1 else Code.BELOW_ONE_SHARE
        return Skip(reasons=(Reason(code=code, facts={"held": most, "least": least}),))
    stopped = hold_for_protections(case, side, whole=closes_the_account(case.executor, case.signal.source))
    if stopped is not None:
        return stopped
    go = Go(
        role=Role.EXIT,
        side=side,
        quantity=quantity,
        type="limit" if limited else "market",
        limit_price=limit,
        time_in_force=time_in_force(case.signal.asset_class),
        reference_price=reference,
        extended_hours=limited and out_of_hours(case),
    )
    cleared = clear_way(case, go)
    formed = take_form(case, cleared) if isinstance(cleared, Go) else cleared
    return _with_fee(case, formed, most=most, read=held) if isinstance(formed, Go) else formed


def _is_limited(case: Case) -> bool:
    """Return whether the exit is a limit order at the signal's price."""
    signal = case.signal
    if has_final_limit(signal.source, signal.entry_price):
        return True
    if signal.entry_price is None or case.asset is None:
        return False
    if out_of_hours(case):
        return True
    is_blocked = bool(case.foreign) and case.now - signal.recorded_at > RESTS_AT_MOST
    return case.executor.order.type == "limit" and not is_blocked


def _with_fee(case: Case, go: Go, *, most: Decimal, read: Decimal) -> Go:
    """Return the exit with the part of the holding that it closes, if the broker took a fee from the holding."""
    whole = closes_the_account(case.executor, case.signal.source)
    bought = case.own.recorded if whole else case.own.quantity
    return replace(go, covers=covered(case, go.quantity, most=most, bought=bought, read=read))


def closable(case: Case, side: OrderSide, held: Decimal) -> Decimal:
    """Return how much an exit may close: the account's position, or the part that its own strategy opened."""
    if closes_the_account(case.executor, case.signal.source):
        return held
    own = case.own.quantity if side is OrderSide.SELL else -case.own.quantity
    return held_of(case, own, held)


def _nothing_own(case: Case, side: OrderSide, held: Decimal) -> Skip:
    """Skip an exit whose strategy has no part of *held*. As an entry, it would trade against others' holdings."""
    facts = {"held": held, "strategy": case.signal.strategy or "none", "own": 0, "held_by": _others(case, held)}
    code = Code.POSITION_AGAINST if _may_open(case, side) else Code.NO_POSITION
    return Skip(reasons=(Reason(code=code, facts={"symbol": case.signal.symbol, **facts}),))


def _hold_restored(case: Case, held: Decimal) -> Hold | None:
    """Hold an exit after a restore while its own entry may have opened the part of *held* that the record lacks."""
    if not case.gate.is_restored or _unknown(case, held) <= 0:
        return None
    return Hold(reason=Reason(code=Code.NOT_RECONCILED, facts={"account": case.account.number}), wait=PAUSE_WAIT)


def _unknown(case: Case, held: Decimal) -> Decimal:
    """Return the part of *held* that the record lacks."""
    return held - sum(abs(quantity) for quantity in case.own.others.values())


def _others(case: Case, held: Decimal) -> str:
    """Name the other strategies that hold the symbol, with quantities, and the part of *held* that the record lacks."""
    others = {name or "no strategy": abs(quantity) for name, quantity in case.own.others.items()}
    unknown = _unknown(case, held)
    named = [f"{name}: {plain(quantity)}" for name, quantity in others.items()]
    return ", ".join([*named, *([f"not by tradewire: {plain(unknown)}"] if unknown > 0 else [])])


def closes_the_account(executor: ExecutorSettings, source: str) -> bool:
    """Return whether an exit of *source* closes the whole position, not only what its own strategy holds.

    An exit in the place of a stop order, and each further try, closes only what the stop order would have closed.
    """
    whole = executor.order.close_scope == "account" and source not in (PROTECT, PROTECT_RETRY)
    return whole or source in CLOSES_THE_ACCOUNT or source == HAND


def may_enter(signal: Directed, executor: ExecutorSettings) -> bool:
    """Return whether the signal opens a position if there is none to close. FLAT and REVERSE are skipped then."""
    opens = signal.action is Action.BUY or (signal.action is Action.SELL and executor.order.allow_short)
    return signal.intent is not Intent.CLOSE and opens


def _may_open(case: Case, side: OrderSide) -> bool:
    """Return whether the signal would be an entry if the account held nothing."""
    return may_enter(case.signal, case.executor) and (side is OrderSide.BUY or case.account.shorting_enabled)


def _too_young(case: Case) -> Hold | None:
    """Hold an exit until the firm's minimum holding time is over. Exits of tradewire's own do not wait for it."""
    least, opened_at = case.executor.firm.minimum_hold_s, case.own.opened_at
    if least is None or opened_at is None or is_own(case.signal.source):
        return None
    left = timedelta(seconds=least) - (case.now - opened_at)
    if left <= timedelta(0):
        return None
    facts = {"minimum_s": least, "held_s": round((case.now - opened_at).total_seconds(), 1)}
    return Hold(reason=Reason(code=Code.MINIMUM_HOLD, facts=facts), wait=left)
