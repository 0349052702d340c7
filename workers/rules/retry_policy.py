"""Decide what follows an answer of the broker: one policy for holds, look-ups and re-sends. Pure."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import assert_never

from pipeline.model.backoff import Backoff
from pipeline.model.orders import PROVED_ABSENT_AFTER, BrokerOrder, OrderStatus
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from workers.brokers.protocol import Accepted, Duplicate, NotSent, NotSentCause, Outcome, Rejected, Unknown

#: The longest hold for a broker that is away: a signal loses its worth with age.
LONGEST_HOLD = timedelta(seconds=5)
#: A refused account, and entries that are refused in a row, are tried once a minute.
PROBE_EVERY = timedelta(seconds=60)
#: Orders appear in the broker's reads after 150-250 ms, so the first look-up waits that long.
FIRST_LOOKUP = timedelta(milliseconds=250)
#: Gaps between look-ups grow to this.
LONGEST_LOOKUP_GAP = timedelta(seconds=5)
_LOOKUP_GAPS = Backoff(first_s=0.3, longest_s=LONGEST_LOOKUP_GAP.total_seconds())
#: Reads lag behind orders: an order counts as absent so long after its last send, and after so many clean answers.
ABSENT_AFTER = timedelta(seconds=1.5)
_CLEAN_ABSENCES = 2
#: The identical order is not sent again later than this after its first send.
RESEND_WITHIN = timedelta(minutes=10)

#: The execution's state for each status of its order.
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
    """The next state of an execution."""

    state: State
    reason: Reason | None = None
    #: How long from now it is due again; for held and unknown.
    due_in: timedelta | None = None
    #: The number of attempts to add: 0 when the order was certainly not sent.
    attempts: int = 0
    order: BrokerOrder | None = None
    #: False when the broker certainly did not take this send.
    may_exist: bool = field(default=True)


def after_submit(outcome: Outcome, *, age: timedelta) -> Transition:
    """Return the transition after an answer to a send. *age* is the time since the execution was recorded."""
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
    """Return the transition to the state of an order that the broker holds."""
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


def is_proved_absent(absent_for: timedelta) -> bool:
    """Return whether an order has been absent for long enough that a requeue may send a new one under a new id."""
    return absent_for >= PROVED_ABSENT_AFTER


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
        state=State.HELD, reason=Reason(code=code, facts={"says": outcome.message[:300]}), due_in=wait, may_exist=False
    )
