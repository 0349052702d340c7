"""Decide what happens to an order while the market is closed, or its hours are unknown. Pure."""

from datetime import timedelta

from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass
from pipeline.store.rows import OrderRow, Role
from workers.rules.case import Case, Hold, Skip
from workers.rules.freshness import keeps_hours, may_wait
from workers.rules.market_hours import Market
from workers.rules.retry_policy import broker_hold

#: The keeper releases held executions in order when the market opens. If no keeper runs, they are due this much later.
OPENING_GRACE = timedelta(seconds=2)
_JUST_AFTER = timedelta(milliseconds=50)


def refusal(case: Case) -> Reason | None:
    """Return why an entry is skipped: the market is closed, and the executor skips entries then. None: it is not."""
    market = case.market
    if not keeps_hours(case.signal.asset_class, case.executor) or case.executor.hours.closed != "skip":
        return None
    return None if market is None or market.is_open else _closed(market, Role.ENTRY)


def hold_entry(case: Case) -> Hold | None:
    """Return the hold of an entry that waits until the market opens, or until its hours can be read; None: no wait."""
    if not keeps_hours(case.signal.asset_class, case.executor):
        return None
    return _hold(case, Role.ENTRY)


def hold_exit(case: Case, *, limited: bool) -> Hold | None:
    """Return the hold of an exit until it can trade; None when it may be sent now.

    Outside regular hours only limit orders (*limited*) trade, and only if `hours.closed` is "extended".
    """
    if case.signal.asset_class == AssetClass.CRYPTO or (limited and out_of_hours(case)):
        return None
    if case.market is None and case.executor.hours.closed == "extended":
        return None
    return _hold(case, Role.EXIT)


def out_of_hours(case: Case) -> bool:
    """Return whether the executor's limit orders trade outside regular hours now: the market is closed, or may be."""
    if case.signal.asset_class == AssetClass.CRYPTO or case.executor.hours.closed != "extended":
        return False
    return case.market is None or not case.market.is_open


def not_again(case: Case, intent: OrderRow) -> Skip | Hold | None:
    """Return why an order for regular hours must not be sent again now: it would wait at the broker for the open."""
    market = case.market
    if intent.request.get("extended_hours") or case.signal.asset_class == AssetClass.CRYPTO:
        return None
    if market is None and case.executor.hours.closed == "extended":
        return None
    skipped = refusal(case) if intent.role is Role.ENTRY else None
    return Skip(reasons=(skipped,)) if skipped else _hold(case, intent.role)


def hold_price(case: Case) -> Hold | None:
    """Return a hold if the entry needs the market price and it could not be read; otherwise None."""
    if not case.price_asked or case.price is not None:
        return None
    return Hold(reason=Reason(code=Code.PRICE_UNKNOWN, facts={"symbol": case.signal.symbol}), wait=_soon(case))


def closed_now(case: Case) -> Hold:
    """Return the hold of an entry that gets its price from an open market, while the market is or may be closed."""
    return _hold(case, Role.ENTRY) or Hold(
        reason=Reason(code=Code.PRICE_UNKNOWN, facts={"symbol": case.signal.symbol}), wait=_soon(case)
    )


def _hold(case: Case, role: Role) -> Hold | None:
    market = case.market
    if market is None:
        return Hold(reason=Reason(code=Code.CLOCK_UNREADABLE, facts={"role": role.value}), wait=_soon(case))
    if market.is_open:
        return None
    wait = market.next_open - market.now + OPENING_GRACE
    if role is Role.ENTRY:
        left = may_wait(case, market)
        wait = wait if left is None else min(wait, max(left, timedelta(0)) + _JUST_AFTER)
    return Hold(reason=_closed(market, role), wait=wait)


def _closed(market: Market, role: Role) -> Reason:
    return Reason(code=Code.MARKET_CLOSED, facts={"role": role.value, "opens": market.next_open})


def _soon(case: Case) -> timedelta:
    return broker_hold(age=case.now - case.signal.recorded_at)
