"""Hold an execution while the broker cannot be asked: an exit without limit, an entry only until it is too old."""

from datetime import timedelta

from config.schema.executor import ExecutorSettings
from pipeline.intake.routing import may_be_exit
from pipeline.model.errors import BrokerOverRate, BrokerUnavailable, BudgetUsedUp
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.store.rows import ClaimedExecution, SignalRow
from workers.rules.freshness import fresh_for
from workers.rules.market_hours import Market
from workers.rules.retry_policy import Transition, broker_hold

_JUST_AFTER = timedelta(milliseconds=50)


def held(
    claimed: ClaimedExecution,
    signal: SignalRow,
    executor: ExecutorSettings,
    reason: Reason,
    wait: timedelta,
    *,
    market: Market | None,
) -> Transition:
    """Return a hold, or a skip if the entry is too old by now. *market*: the hours from which its age is computed."""
    left = fresh_for(signal, executor, now=claimed.now, market=market, accept_age=claimed.accept_age)
    if left is not None and not may_be_exit(signal, executor):
        if left < timedelta(0):
            return skipped((Reason(code=Code.TOO_OLD, facts={"held_for": str(reason)}),))
        wait = min(wait, left + _JUST_AFTER)
    return Transition(state=State.HELD, reason=reason, due_in=wait)


def unread(error: BrokerUnavailable, *, age: timedelta) -> tuple[Reason, timedelta]:
    """Return why the broker could not be read, and how long to wait before it is read again."""
    wait = broker_hold(age=age)
    if isinstance(error, BudgetUsedUp):
        return Reason(code=Code.RATE_BUDGET), timedelta(seconds=error.wait_s)
    if isinstance(error, BrokerOverRate):
        return Reason(code=Code.RATE_LIMITED, facts={"says": str(error)[:300]}), wait
    return Reason(code=Code.BROKER_AWAY, facts={"says": str(error)[:300]}), wait


def skipped(reasons: tuple[Reason, ...]) -> Transition:
    """Return the skip of an execution that our own rules refuse. The first reason lists the others as a fact."""
    first, *others = reasons
    facts = dict(first.facts)
    if others:
        facts["also"] = "; ".join(str(reason) for reason in others)
    return Transition(state=State.SKIPPED, reason=Reason(code=first.code, facts=facts))
