"""What follows an answer: one policy, a pure function of (outcome, attempts, age). Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import assert_never

from pipeline.model.backoff import Backoff
from pipeline.model.orders import BrokerOrder, OrderStatus
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from workers.brokers.protocol import Accepted, Duplicate, NotSent, NotSentCause, Outcome, Rejected, Unknown

#: Holds for a broker that is away back off to this and no further: a signal is worth little when it is old.
LONGEST_HOLD = timedelta(seconds=5)
#: What the broker refuses, an account or one entry after the other, is tried once a minute.
PROBE_EVERY = timedelta(seconds=60)
#: Orders show up in the broker's reads after 150-250 ms; the first look-up waits that long.
FIRST_LOOKUP = timedelta(milliseconds=250)
#: Gaps between look-ups grow to this.
LONGEST_LOOKUP_GAP = timedelta(seconds=5)
_LOOKUP_GAPS = Backoff(first_s=0.3, longest_s=LONGEST_LOOKUP_GAP.total_seconds())
#: Reads lag behind orders: an order counts as absent so long after its last send, and after so many clean answers.
ABSENT_AFTER = timedelta(seconds=1.5)
_CLEAN_ABSENCES = 2
#: The identical order may go out again so long after its first send, and not later.
RESEND_WITHIN = timedelta(minutes=10)

#: What an order's status makes of the execution.
STATE_OF = {
    OrderStatus.WORKING: State.ACCEPTED,
    OrderStatus.UNRECOGNISED: State.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: State.PARTIALLY_FILLED,
    OrderStatus.FILLED: State.FILLED,
    OrderStatus.CANCELED: State.CANCELED,
    OrderStatus.REPLACED: State.CANCELED,
    OrderStatus.EXPIRED: State.EXPIRED,
    OrderStatus.REJECTED: State.REJECTED,
}


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Where an execution goes next."""

    state: State
    reason: Reason | None = None
    #: For held and unknown: how long from now.
    due_in: timedelta | None = None
    #: How many attempts this was: an order that certainly was not sent is none.
    attempts: int = 0
    order: BrokerOrder | None = None
    #: False when the broker certainly did not take this send.
    may_exist: bool = field(default=True)


def after_submit(outcome: Outcome, *, age: timedelta) -> Transition:
    """Return what an answer to a send makes of the execution; *age* is how long it has been tried."""
    match outcome:
        case Accepted(order=order):
            return settled_by(order, attempts=1)
        case Rejected():
            facts = {"http": outcome.status, "says": outcome.message[:300]}
            if outcome.code is not None:
                facts["code"] = outcome.code
            return Transition(
                state=State.REJECTED, reason=Reason(code=Code.REJECTED_BY_BROKER, facts=facts), attempts=1
            )
        case NotSent():
            return _not_sent(outcome, age=age)
        case Unknown():
            return Transition(
                state=State.UNKNOWN,
                reason=Reason(code=Code.NO_ANSWER, facts={"says": outcome.message[:300]}),
                due_in=FIRST_LOOKUP,
                attempts=1,
            )
        case Duplicate():
            return Transition(
                state=State.UNKNOWN,
                reason=Reason(code=Code.DUPLICATE_ID, facts={"says": outcome.message[:300]}),
                due_in=timedelta(0),
                attempts=1,
            )
        case _:
            assert_never(outcome)


def settled_by(order: BrokerOrder, *, attempts: int = 0) -> Transition:
    """Return what an order that the broker holds makes of the execution."""
    state = STATE_OF[order.status]
    reason = None
    if state is State.REJECTED:
        reason = Reason(code=Code.REJECTED_BY_BROKER, facts={"order_status": order.raw_status})
    elif state is State.CANCELED:
        reason = Reason(code=Code.CANCELED_AT_BROKER, facts={"order_status": order.raw_status})
    elif state is State.EXPIRED:
        reason = Reason(code=Code.EXPIRED_AT_BROKER, facts={"order_status": order.raw_status})
    return Transition(state=state, reason=reason, attempts=attempts, order=order)


def broker_hold(*, age: timedelta) -> timedelta:
    """Return how long to wait for a broker that is away: half of the age, from 0.5 s to 5 s."""
    return max(timedelta(seconds=0.5), min(LONGEST_HOLD, age / 2))


def lookup_gap(lookups: int) -> timedelta:
    """Return the pause after the n-th look-up (0-based): 0.3, 0.6, 1.2, 2.4 s, then 5 s."""
    return timedelta(seconds=_LOOKUP_GAPS.after(lookups + 1))


def may_send_again(*, absences: int, since_sent: timedelta) -> bool:
    """Return whether an order counts as absent at the broker, so that the identical order may be sent again.

    Args:
        absences: how many clean answers in a row said that the broker knows no such order.
        since_sent: how long ago the order was last sent.
    """
    return absences >= _CLEAN_ABSENCES and since_sent >= ABSENT_AFTER


def _not_sent(outcome: NotSent, *, age: timedelta) -> Transition:
    wait = broker_hold(age=age)
    code = Code.BROKER_AWAY
    if outcome.cause is NotSentCause.RATE_LIMITED:
        code = Code.RATE_LIMITED
        if outcome.retry_after_s is not None:
            wait = timedelta(seconds=min(max(outcome.retry_after_s, 0.5), 60))
    elif outcome.cause is NotSentCause.ACCOUNT_REFUSED:
        code, wait = Code.BROKER_REFUSES_ACCOUNT, PROBE_EVERY
    return Transition(
        state=State.HELD,
        reason=Reason(code=code, facts={"says": outcome.message[:300]}),
        due_in=wait,
        may_exist=False,
    )
