"""How old an entry may be. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from config.executors import ExecutorSettings
from pipeline.reasons import Code, Reason
from pipeline.store.rows import SignalRow
from workers.rules.case import Case


def stale_at(signal: SignalRow, executor: ExecutorSettings, *, accept_age: bool) -> datetime | None:
    """Return when an entry on *signal* is too late; None when it does not age."""
    ends = [] if signal.expires_at is None else [signal.expires_at]
    if executor.limits.entry_age_s is not None and not accept_age:
        ends.append((signal.generated_at or signal.recorded_at) + timedelta(seconds=executor.limits.entry_age_s))
    return min(ends) if ends else None


def freshness(case: Case) -> Reason | None:
    """Return why an entry is too late, or None. Exits do not expire."""
    ends = stale_at(case.signal, case.executor, accept_age=case.accept_age)
    if ends is None or case.now <= ends:
        return None
    if ends == case.signal.expires_at:
        return Reason(code=Code.EXPIRED_SIGNAL, facts={"expires_at": ends})
    age = (case.now - (case.signal.generated_at or case.signal.recorded_at)).total_seconds()
    return Reason(code=Code.TOO_OLD, facts={"age_s": round(age, 1), "limit_s": case.executor.limits.entry_age_s})
