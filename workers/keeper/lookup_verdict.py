"""Decide the next step of an execution whose order may be at the broker. Pure: no I/O, and no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pipeline.model.backoff import Backoff
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.store.rows import OrderRow, Role
from workers.brokers.protocol import Absent, Found, Lookup, NoAnswer
from workers.rules.retry_policy import is_proved_absent, may_resend, may_send_again

# The pauses between the sends of an exit beyond `retry.attempts`.
_EXIT_PAUSES = Backoff(first_s=5.0, longest_s=60.0)


@dataclass(frozen=True, kw_only=True)
class UnknownExecution:
    """An execution whose order may be at the broker, and its look-ups until now."""

    execution_id: UUID
    seq: int
    executor_id: str
    symbol: str
    fence: int
    generation: int
    attempts: int
    reason_code: str | None
    #: The number of look-ups since the last send, without the present one.
    lookups: int
    #: How many of them showed that the broker has no such order.
    absences: int
    #: The time since the first of the latest look-ups in a row that found no order.
    absent_for: timedelta
    #: Whether the broker has refused a send because an order with its id exists.
    duplicate: bool
    #: For how long the broker has answered the look-ups.
    unknown_answered: timedelta
    now: datetime


@dataclass(frozen=True, kw_only=True)
class LookupVerdict:
    """The decision that ends the look-ups of an execution."""

    state: State
    reason: Reason
    #: The next try is a new order: the old one was proved absent after a person's requeue.
    new_order: bool = False
    #: The pause before the next try.
    due_in: timedelta = timedelta(0)


def is_answer(lookup: Lookup) -> bool:
    """Return whether the broker answered at all; an answer that makes no sense counts."""
    return not isinstance(lookup, NoAnswer) or lookup.cause is None


def decide(
    unknown: UnknownExecution, intent: OrderRow, lookup: Lookup, *, gap: timedelta, attempts: int, retry_for_s: float
) -> LookupVerdict | None:
    """Decide how an execution goes on after a look-up that did not find our order; None: look it up again. Pure.

    *gap* is the pause after this look-up; *attempts* and *retry_for_s* are the executor's `retry` settings.
    """
    if isinstance(lookup, Found):
        facts: dict[str, Any] = {
            "order_id": lookup.order.order_id,
            "symbol": lookup.order.symbol,
            "side": str(lookup.order.side),
        }
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ORDER_MISMATCH, facts=facts))
    if isinstance(lookup, Absent) and not unknown.duplicate:
        sent_at = intent.last_sent_at or intent.intended_at
        if may_send_again(absences=unknown.absences + 1, since_sent=unknown.now - sent_at):
            return _decide_absent(unknown, intent, attempts=attempts)
    answered_for = unknown.unknown_answered + (gap if is_answer(lookup) else timedelta(0))
    if answered_for.total_seconds() > retry_for_s:
        facts = {
            "answered_for_s": round(answered_for.total_seconds(), 1),
            "was": unknown.reason_code,
            "lookups": unknown.lookups + 1,
        }
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.UNKNOWN_TOO_LONG, facts=facts))
    return None


def _decide_absent(unknown: UnknownExecution, intent: OrderRow, *, attempts: int) -> LookupVerdict | None:
    """Decide on an order that counts as absent: it is sent again, unless that was tried too often or for too long."""
    if intent.order_id is not None:
        facts: dict[str, Any] = {"order_id": intent.order_id}
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ORDER_VANISHED, facts=facts))
    facts = {"attempts": unknown.attempts, "was": unknown.reason_code}
    again = Reason(code=Code.SEND_AGAIN, facts=facts)
    too_late = not may_resend(since_first_sent=unknown.now - (intent.first_sent_at or intent.intended_at))
    proved = is_proved_absent(unknown.absent_for)
    if too_late and unknown.reason_code == Code.REQUEUED:
        # It is too late for the same order, but a person asked for one. A new order needs a minute of clean absences.
        return LookupVerdict(state=State.HELD, reason=again, new_order=True) if proved else None
    if too_late and intent.role is not Role.ENTRY:
        # The position must be closed, or protected, so another order is recorded for what is held then.
        verdict = LookupVerdict(state=State.SKIPPED, reason=Reason(code=Code.EXIT_NOT_DONE, facts=facts))
        return verdict if proved else None
    beyond = unknown.attempts - attempts
    if beyond >= 0 and intent.role is not Role.ENTRY:
        # The position must be closed or protected, so the order is sent again, with growing pauses, for ten minutes.
        return LookupVerdict(state=State.HELD, reason=again, due_in=timedelta(seconds=_EXIT_PAUSES.after(beyond + 1)))
    if beyond >= 0 or too_late:
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ATTEMPTS_USED_UP, facts=facts))
    return LookupVerdict(state=State.HELD, reason=again)
