"""Decide what follows an answer of the broker: one policy for holds, look-ups and re-sends. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, assert_never

from pipeline.model.backoff import Backoff
from pipeline.model.orders import BrokerOrder, OrderStatus
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.store.rows import Role
from workers.brokers.protocol import Accepted, Duplicate, NotSent, NotSentCause, Outcome, RefusalKind, Rejected, Unknown

#: The longest hold while a broker is away. It is short because a signal loses its value with age.
LONGEST_HOLD = timedelta(seconds=5)
#: A refused account, and entries that are refused in a row, are tried once a minute.
PROBE_EVERY = timedelta(seconds=60)
#: The longest hold of an exit after an answer that refuses the account and not just this order.
LONGEST_REFUSED_EXIT = timedelta(seconds=15)
#: Orders appear in the broker's reads after 150-250 ms, so the first look-up waits that long.
FIRST_LOOKUP = timedelta(milliseconds=250)
#: Gaps between look-ups grow to this.
LONGEST_LOOKUP_GAP = timedelta(seconds=5)
_LOOKUP_GAPS = Backoff(first_s=0.3, longest_s=LONGEST_LOOKUP_GAP.total_seconds())
#: An order counts as absent only this long after its last send, and after this many answers without it: reads lag.
ABSENT_AFTER = timedelta(seconds=1.5)
_CLEAN_ABSENCES = 2
#: The identical order is not sent again later than this after its first send.
RESEND_WITHIN = timedelta(minutes=10)
#: A new order, under a new id, may follow once the broker has answered for this long that it does not have the old one.
PROVED_ABSENT_AFTER = timedelta(seconds=60)

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
_REASON_OF = {
    State.REJECTED: Code.REJECTED_BY_BROKER,
    State.CANCELED: Code.CANCELED_AT_BROKER,
    State.EXPIRED: Code.EXPIRED_AT_BROKER,
}


@dataclass(frozen=True, kw_only=True)
class Transition:
    """The next state of an execution."""

    state: State
    reason: Reason | None = None
    #: How long until the execution is due again; only for held and unknown.
    due_in: timedelta | None = None
    #: The number of attempts to add: 0 when the order was certainly not sent.
    attempts: int = 0
    order: BrokerOrder | None = None
    #: False when the broker certainly did not take this send.
    may_exist: bool = True


def after_submit(
    outcome: Outcome, *, age: timedelta, role: Role, quantity: Decimal, rest: Decimal = Decimal(0)
) -> Transition:
    """Return the transition after an answer to a send.

    Args:
        outcome: The answer.
        age: The time since the execution was recorded.
        role: The role of the order.
        quantity: Its quantity.
        rest: The quantity that the order leaves to a further exit. If the order is refused, that exit closes both.
    """
    match outcome:
        case Accepted(order=order):
            return settled_by(order, attempts=1)
        case Rejected():
            facts: dict[str, Any] = {"http": outcome.status, "says": outcome.message[:300]}
            if outcome.code is not None:
                facts["code"] = outcome.code
            if outcome.refusal is not None:
                facts["refused"] = outcome.refusal.value
            if outcome.orders:
                facts["orders"] = " ".join(outcome.orders)[:500]
            if role is Role.EXIT and not rest and _is_dust(outcome, quantity):
                # The same order would be refused again, and there is no rest to close together with it.
                reason = Reason(code=Code.DUST, facts={"dust": quantity, **facts})
                return Transition(state=State.SKIPPED, reason=reason, attempts=1, may_exist=False)
            reason = Reason(code=Code.REJECTED_BY_BROKER, facts=facts)
            return Transition(state=State.REJECTED, reason=reason, attempts=1)
        case NotSent():
            return _not_sent(outcome, age=age, role=role)
        case Unknown():
            return _unknown(Code.NO_ANSWER, outcome.message, due_in=FIRST_LOOKUP)
        case Duplicate():
            # The broker has the order already, so the look-up need not wait for it to appear.
            return _unknown(Code.DUPLICATE_ID, outcome.message, due_in=timedelta(0))
        case _:
            assert_never(outcome)


def _is_dust(outcome: Rejected, quantity: Decimal) -> bool:
    """Return whether *quantity* is so small that the broker accepts no order for it."""
    fraction = outcome.refusal is RefusalKind.NOT_FRACTIONABLE and quantity < 1
    return fraction or outcome.refusal is RefusalKind.TOO_SMALL


def settled_by(order: BrokerOrder, *, attempts: int = 0) -> Transition:
    """Return the transition to the state that belongs to an order at the broker."""
    state = STATE_OF[order.status]
    code = _REASON_OF.get(state)
    reason = None if code is None else Reason(code=code, facts={"order_status": order.raw_status})
    return Transition(state=state, reason=reason, attempts=attempts, order=order)


def broker_hold(*, age: timedelta) -> timedelta:
    """Return how long to wait for a broker that is away: half of the age, from 0.5 s to 5 s."""
    return max(timedelta(seconds=0.5), min(LONGEST_HOLD, age / 2))


def lookup_gap(lookups: int) -> timedelta:
    """Return the pause after the n-th look-up (0-based): 0.3, 0.6, 1.2, 2.4 s, then 5 s."""
    return timedelta(seconds=_LOOKUP_GAPS.after(lookups + 1))


def may_send_again(*, absences: int, since_sent: timedelta) -> bool:
    """Return whether an order counts as absent at the broker, so that the identical order may be sent again.

    *absences* is the number of clean answers since the last send that the broker has no such order.
    """
    return absences >= _CLEAN_ABSENCES and since_sent >= ABSENT_AFTER


def may_resend(*, since_first_sent: timedelta) -> bool:
    """Return whether the identical order may still be sent again."""
    return since_first_sent <= RESEND_WITHIN


def is_proved_absent(absent_for: timedelta) -> bool:
    """Return whether an order has been absent for long enough to send a new one under a new id."""
    return absent_for >= PROVED_ABSENT_AFTER


def _unknown(code: Code, message: str, *, due_in: timedelta) -> Transition:
    reason = Reason(code=code, facts={"says": message[:300]})
    return Transition(state=State.UNKNOWN, reason=reason, due_in=due_in, attempts=1)


def _not_sent(outcome: NotSent, *, age: timedelta, role: Role) -> Transition:
    wait = broker_hold(age=age)
    code = Code.BROKER_AWAY
    if outcome.cause is NotSentCause.RATE_LIMITED:
        code = Code.RATE_LIMITED
        if outcome.retry_after_s is not None:
            wait = timedelta(seconds=min(max(outcome.retry_after_s, 0.5), 60))
    elif outcome.cause is NotSentCause.ACCOUNT_REFUSED and role is Role.ENTRY:
        code, wait = Code.ENTRIES_REFUSED, PROBE_EVERY
    elif outcome.cause is NotSentCause.ACCOUNT_REFUSED:
        # An answer to an order does not show that the account is refused, so the exit is tried again soon.
        code, wait = Code.BROKER_REFUSES_ACCOUNT, max(wait, min(LONGEST_REFUSED_EXIT, age / 2))
    elif outcome.cause is NotSentCause.POSITION_CHANGED:
        # The order was decided on a position that the broker does not have. The worker reads it and decides again.
        code = Code.ACCOUNT_UNREADABLE
    reason = Reason(code=code, facts={"says": outcome.message[:300]})
    return Transition(state=State.HELD, reason=reason, due_in=wait, may_exist=False)
