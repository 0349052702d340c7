"""What an entry waits for before it is sized: an account that is known, and a broker that takes orders. Pure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code, Reason
from workers.rules.case import Case, Hold
from workers.rules.limits import flat_from
from workers.rules.retry_policy import PROBE_EVERY
from workers.rules.trading_day import trading_day

# The keeper looks at an idle account once a minute; one that it has not looked at for longer, nobody watches.
_UNWATCHED_AFTER = timedelta(seconds=90)
_SOON = timedelta(seconds=1)
_LATER = timedelta(seconds=5)


def hold(case: Case, side: OrderSide) -> Hold | None:
    """Return what an entry waits for, or None."""
    if case.account.blocked:
        return Hold(reason=Reason(code=Code.ACCOUNT_BLOCKED, facts={"account": case.account.number}), wait=_LATER)
    return _contradiction(case, side) or _unwatched(case) or _clock(case) or _circuit(case)


def _contradiction(case: Case, side: OrderSide) -> Hold | None:
    """Wait while what we filled says that the account is on the other side, and the reading does not show it yet."""
    symbol = case.signal.symbol
    read = sum((each.quantity for each in case.book.positions if each.symbol == symbol), Decimal(0))
    position = case.position.quantity if case.position else Decimal(0)
    filled = case.book.quantity(symbol)
    other_side = filled < 0 if side is OrderSide.BUY else filled > 0
    # Where the two readings differ, the position was read anew, after whatever had been filled by then.
    if not other_side or position != read:
        return None
    facts = {"symbol": symbol, "read": position, "with_our_orders": filled}
    return Hold(reason=Reason(code=Code.ACCOUNT_UNREADABLE, facts=facts), wait=_SOON)


def _unwatched(case: Case) -> Hold | None:
    """Wait for the account's day and peak where a limit counts from them: today's, and looked at lately."""
    limits, firm, hours = case.executor.limits, case.executor.firm, case.executor.hours
    counted = (limits.daily_loss_percent, limits.drawdown_percent, firm.consistency_percent)
    if all(limit is None for limit in counted):
        return None
    today = trading_day(case.now, hours.time_zone, hours.day_starts_at).date
    baseline = case.baseline
    facts = {"account": case.account.number, "today": today.isoformat()}
    if baseline is not None:
        # A day that began under an earlier `day_starts_at` goes on until the new one's passes it.
        if baseline.day >= today and case.now - baseline.read_at <= _UNWATCHED_AFTER:
            return None
        facts |= {"watched": baseline.day.isoformat(), "read_at": baseline.read_at.isoformat()}
    return Hold(reason=Reason(code=Code.ACCOUNT_UNWATCHED, facts=facts), wait=_SOON)


def _clock(case: Case) -> Hold | None:
    """Wait for the clock where the account is to be flat before the close."""
    if case.market is not None or flat_from(case) is None:
        return None
    return Hold(reason=Reason(code=Code.CLOCK_UNREADABLE), wait=_SOON)


def _circuit(case: Case) -> Hold | None:
    """Wait while the broker refuses entry after entry; once a minute one goes, and the next waits for its own minute.

    An intent counts from the moment that it is written, so that of entries decided one after the other only the first
    goes, and one whose answer is still out keeps the others waiting.
    """
    most, recent = case.executor.limits.consecutive_rejections, case.recent
    if most is None or recent.rejections < most:
        return None
    ages = [age for age in (recent.rejected_ago, recent.tried_ago) if age is not None]
    since = min(ages, default=timedelta(0))
    if since >= PROBE_EVERY:
        return None
    facts = {"limit": most, "rejections": recent.rejections, "next_try_s": round((PROBE_EVERY - since).total_seconds())}
    wait = min(max(PROBE_EVERY - since, _SOON), _LATER)
    return Hold(reason=Reason(code=Code.REJECTIONS_IN_A_ROW, facts=facts), wait=wait)
