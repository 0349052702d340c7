"""Check how old an entry is in open-market time, and how long it has waited for the market to open. Pure."""

from datetime import datetime, timedelta

from config.schema.executor import ExecutorSettings
from pipeline.model.reasons import Code, Reason
from pipeline.model.symbols import AssetClass
from pipeline.store.rows import SignalRow
from workers.rules.case import Case
from workers.rules.market_hours import Market, open_age


def keeps_hours(traded: str, executor: ExecutorSettings) -> bool:
    """Return whether the market's hours matter to assets of the class *traded*.

    They do not matter to crypto, nor if orders also trade outside regular hours.
    """
    return traded != AssetClass.CRYPTO and executor.hours.closed != "extended"


def aged(signal: SignalRow, executor: ExecutorSettings, *, now: datetime, market: Market | None) -> timedelta:
    """Return the age of an entry at *now* (the record's clock), in time that the market was open.

    All time counts if the hours do not matter or are unknown.
    """
    since = signal.generated_at or signal.recorded_at
    return open_age(since, now, market if keeps_hours(signal.asset_class, executor) else None)


def waited(signal: SignalRow, executor: ExecutorSettings, *, now: datetime, market: Market | None) -> timedelta:
    """Return for how long the market was closed since the entry was made or received."""
    # An executor that takes entries of any age counts from the moment when it received them.
    dated = executor.limits.entry_age_s is not None and signal.generated_at is not None
    since = signal.generated_at if dated and signal.generated_at is not None else signal.recorded_at
    return (now - since) - open_age(since, now, market if keeps_hours(signal.asset_class, executor) else None)


def fresh_for(
    signal: SignalRow, executor: ExecutorSettings, *, now: datetime, market: Market | None, accept_age: bool
) -> timedelta | None:
    """Return for at least how much longer an entry is fresh; below zero if it is too old; None if it does not age."""
    left = [] if signal.expires_at is None else [signal.expires_at - now]
    if not accept_age:
        if executor.limits.entry_age_s is not None:
            most = timedelta(seconds=executor.limits.entry_age_s)
            left.append(most - aged(signal, executor, now=now, market=market))
        if keeps_hours(signal.asset_class, executor) and market is not None:
            left.append(timedelta(seconds=executor.hours.hold_s) - waited(signal, executor, now=now, market=market))
    return min(left, default=None)


def may_wait(case: Case, market: Market) -> timedelta | None:
    """Return how much longer an entry may wait for a closed *market* to open; None: without limit."""
    signal, executor, now = case.signal, case.executor, case.now
    left = [] if signal.expires_at is None else [signal.expires_at - now]
    if not case.accept_age and market.by_calendar:
        left.append(timedelta(seconds=executor.hours.hold_s) - waited(signal, executor, now=now, market=market))
    elif not case.accept_age and executor.limits.entry_age_s is not None:
        # The time of the last close is unknown, so all time counts.
        left.append(timedelta(seconds=executor.limits.entry_age_s) - aged(signal, executor, now=now, market=market))
    return min(left, default=None)


def freshness(case: Case) -> Reason | None:
    """Return why an entry is too old, or None. Exits do not expire."""
    signal, executor, market = case.signal, case.executor, case.market or case.calendar
    if signal.expires_at is not None and case.now > signal.expires_at:
        return Reason(code=Code.EXPIRED_SIGNAL, facts={"expires_at": signal.expires_at})
    if case.accept_age:
        return None
    age, wait = (each(signal, executor, now=case.now, market=market).total_seconds() for each in (aged, waited))
    most = executor.limits.entry_age_s
    if most is not None and age > most:
        return Reason(code=Code.TOO_OLD, facts={"age_s": round(age, 1), "limit_s": most})
    if keeps_hours(signal.asset_class, executor) and wait > executor.hours.hold_s:
        return Reason(code=Code.HELD_TOO_LONG, facts={"waited_s": round(wait, 1), "limit_s": executor.hours.hold_s})
    return None
