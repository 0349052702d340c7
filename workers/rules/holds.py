"""Hold an entry until the account is known and the broker accepts orders. Pure."""

from datetime import timedelta
from decimal import Decimal

from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass
from pipeline.model.trading_day import trading_day
from workers.rules.case import Case, Hold
from workers.rules.limits import flat_from
from workers.rules.retry_policy import PROBE_EVERY
from workers.rules.switches import PAUSE_WAIT

# The keeper reads an idle account once a minute. A reading older than this means that no keeper reads it now.
_UNWATCHED_AFTER = timedelta(seconds=90)
_SOON = timedelta(seconds=1)
_LATER = timedelta(seconds=5)


def hold(case: Case, side: OrderSide) -> Hold | None:
    """Return why an entry has to wait, or None."""
    if case.account.blocked:
        return Hold(reason=Reason(code=Code.ACCOUNT_BLOCKED, facts={"account": case.account.number}), wait=_LATER)
    if case.signal.asset_class == AssetClass.CRYPTO and case.account.non_marginable_buying_power is None:
        facts = {"says": "the account has no non_marginable_buying_power"}
        return Hold(reason=Reason(code=Code.ACCOUNT_UNREADABLE, facts=facts), wait=_LATER)
    return (
        hold_refused(case)
        or hold_unreconciled(case)
        or _unread(case)
        or _contradiction(case, side)
        or _unwatched(case)
        or _clock(case)
        or _circuit(case)
    )


def hold_refused(case: Case) -> Hold | None:
    """Wait while the broker refuses every order that opens a position, until one may be sent as a probe."""
    refused = case.entries_refused
    if refused is None or refused.probe_in <= timedelta(0):
        return None
    return Hold(reason=Reason(code=Code.ENTRIES_REFUSED, facts={"says": refused.message}), wait=refused.probe_in)


def hold_unreconciled(case: Case) -> Hold | None:
    """Wait for a reconcile of the account, and while record and broker differ in the symbol."""
    gate = case.gate
    if not gate.is_reconciled:
        return Hold(reason=Reason(code=Code.NOT_RECONCILED, facts={"account": case.account.number}), wait=PAUSE_WAIT)
    if gate.kind is None:
        return None
    facts = {"symbol": case.signal.symbol, "finding": gate.kind.value, "finding_id": str(gate.finding_id)}
    return Hold(reason=Reason(code=Code.QUARANTINED, facts=facts), wait=PAUSE_WAIT)


def _unread(case: Case) -> Hold | None:
    """Wait while a position of the account cannot be read, since the limits cannot count it."""
    unread = case.book.unread()
    if not unread:
        return None
    return Hold(reason=Reason(code=Code.ACCOUNT_UNREADABLE, facts={"positions": ", ".join(unread)[:300]}), wait=_LATER)


def _contradiction(case: Case, side: OrderSide) -> Hold | None:
    """Wait while, by our fills, the account holds the other side, and the position as read does not show that yet."""
    symbol = case.signal.symbol
    read = sum((each.quantity for each in case.book.positions if each.symbol == symbol), Decimal(0))
    position = case.position.quantity if case.position else Decimal(0)
    filled = case.book.quantity(symbol)
    other_side = filled < 0 if side is OrderSide.BUY else filled > 0
    # If the two readings differ, the position was read again, after those fills.
    if not other_side or position != read:
        return None
    facts = {"symbol": symbol, "read": position, "with_our_orders": filled}
    return Hold(reason=Reason(code=Code.ACCOUNT_UNREADABLE, facts=facts), wait=_SOON)


def _unwatched(case: Case) -> Hold | None:
    """Hold an entry until the account's day start and peak are recent, if a limit is counted from them."""
    limits, firm, hours = case.executor.limits, case.executor.firm, case.executor.hours
    counted = (limits.daily_loss_percent, limits.drawdown_percent, firm.consistency_percent)
    if all(limit is None for limit in counted):
        return None
    today = trading_day(case.now, hours.time_zone, hours.day_starts_at).date
    baseline = case.baseline
    facts = {"account": case.account.number, "today": today.isoformat()}
    if baseline is not None:
        # After a change of `day_starts_at`, the current day lasts until the new day begins.
        if baseline.day >= today and case.now - baseline.read_at <= _UNWATCHED_AFTER:
            return None
        facts |= {"watched": baseline.day.isoformat(), "read_at": baseline.read_at.isoformat()}
    return Hold(reason=Reason(code=Code.ACCOUNT_UNWATCHED, facts=facts), wait=_SOON)


def _clock(case: Case) -> Hold | None:
    """Wait until the broker's clock can be read, if the account has to be flat before the close."""
    if case.market is not None or flat_from(case) is None:
        return None
    return Hold(reason=Reason(code=Code.CLOCK_UNREADABLE), wait=_SOON)


def _circuit(case: Case) -> Hold | None:
    """Wait while the broker refuses entry after entry. One entry a minute is sent as a probe."""
    most, recent = case.executor.limits.consecutive_rejections, case.recent
    if most is None or recent.rejections < most:
        return None
    # An intent counts from the moment when it is written, so the other entries wait while its answer is outstanding.
    ages = [age for age in (recent.rejected_ago, recent.tried_ago) if age is not None]
    since = min(ages, default=timedelta(0))
    if since >= PROBE_EVERY:
        return None
    facts = {"limit": most, "rejections": recent.rejections, "next_try_s": round((PROBE_EVERY - since).total_seconds())}
    wait = min(max(PROBE_EVERY - since, _SOON), _LATER)
    return Hold(reason=Reason(code=Code.REJECTIONS_IN_A_ROW, facts=facts), wait=wait)
