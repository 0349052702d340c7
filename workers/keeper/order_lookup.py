"""Look up orders that the broker may or may not have, and decide how their executions go on."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.reasons import Code, Reason, with_request_id
from pipeline.model.states import State
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rows import OrderRow, Role
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Absent, Found, Lookup, NoAnswer, NotSentCause
from workers.execution.broker_orders import follow, matches, record_broker_order
from workers.execution.replaced_orders import newest
from workers.rules.retry_policy import is_proved_absent, lookup_gap, may_resend, may_send_again

log = structlog.get_logger(__name__)

_BATCH = 32
# Two leaders must not look up the same order at once. The claims of a keeper that dies end soon after another keeper
# can lead: a second look-up is harmless, a long wait is not.
_CLAIM = timedelta(seconds=5)
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
    #: The number of look-ups.
    lookups: int
    #: The number of look-ups that found no order.
    absences: int
    #: The time since the first of the latest look-ups in a row that found no order.
    absent_for: timedelta
    #: The broker has answered a send that it has the id already.
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


@dataclass(frozen=True, kw_only=True)
class OrderLookup:
    """Looks up unknown orders. A crash only repeats a look-up, because every state change is a compare-and-set."""

    record: Record
    runtimes: Mapping[str, ExecutorRuntime]
    pool: ThreadPoolExecutor
    who: str

    def run_once(self) -> int:
        """Look up one batch of the due orders, and return how many executions were settled."""
        values = {"claim": _CLAIM, "limit": _BATCH, "executor_ids": list(self.runtimes)}
        due = self.record.all(UnknownExecution, sql("keeper", "claim_unknown"), values)
        return sum(self.pool.map(self._resolve, due))

    def _resolve(self, unknown: UnknownExecution) -> bool:
        runtime = self.runtimes[unknown.executor_id]
        key = {"execution_id": unknown.execution_id, "generation": unknown.generation}
        intent = self.record.one(OrderRow, sql("orders", "of_execution"), key)
        lookup = self._look_up(runtime, unknown, intent)
        reached("keeper.after_lookup")
        gap = lookup_gap(unknown.lookups)
        if isinstance(lookup, Found) and matches(intent, lookup.order):
            settled = self._adopt(unknown, intent, lookup)
        else:
            retry = runtime.executor.retry
            verdict = decide(unknown, intent, lookup, gap=gap, attempts=retry.attempts, retry_for_s=retry.unknown_s)
            if verdict is None:
                self._postpone(unknown, lookup, gap)
                return False
            reason = with_request_id(verdict.reason, lookup.request_id)
            settled = self._settle(unknown, replace(verdict, reason=reason))
        reached("keeper.after_resolve")
        return settled

    def _look_up(self, runtime: ExecutorRuntime, unknown: UnknownExecution, intent: OrderRow) -> Lookup:
        """Ask the broker by our id, and from the second look-up on search its order list too."""
        try:
            refusal = runtime.snapshots.refusal()
        except (BrokerUnavailable, BrokerUnreadable) as error:
            return NoAnswer(message=str(error), cause=NotSentCause.UNREACHABLE)
        if refusal is not None:
            return NoAnswer(message=refusal.message, cause=NotSentCause.ACCOUNT_REFUSED)
        lookup = runtime.broker.find(intent.client_order_id)
        if isinstance(lookup, Absent) and (unknown.lookups > 0 or unknown.duplicate):
            since = runtime.snapshots.broker_time(intent.intended_at) - timedelta(seconds=60)
            lookup = runtime.broker.find_in_list(intent.client_order_id, since=since)
        if isinstance(lookup, NoAnswer) and lookup.cause is NotSentCause.ACCOUNT_REFUSED:
            runtime.snapshots.refused(lookup.message)
        return _followed(runtime, lookup) if isinstance(lookup, Found) else lookup

    def _adopt(self, unknown: UnknownExecution, intent: OrderRow, found: Found) -> bool:
        """Set the execution to the state of the order that the broker has."""

        def unit(connection: Connection[DictRow]) -> bool:
            record_broker_order(connection, found.order)
            execution_id, order, request_id = intent.execution_id, found.order, found.request_id
            return follow(connection, execution_id, intent.generation, order, by=self.who, request_id=request_id)

        moved = self.record.run(unit)
        if moved:
            log.info("order.found", execution_id=str(intent.execution_id), order_id=found.order.order_id)
            self._free_symbol(unknown)
        return moved

    def _settle(self, unknown: UnknownExecution, verdict: LookupVerdict) -> bool:
        """Set the execution to the decided state; return False when another process has changed its state first."""
        state, reason = verdict.state, verdict.reason
        values = {
            "execution_id": unknown.execution_id,
            "fence": unknown.fence,
            "state": state,
            "reason_code": reason.code,
            "reason_facts": Json(reason.to_json()),
            "new_order": verdict.new_order,
            "due_in": verdict.due_in,
            "moved_by": self.who,
        }

        def unit(connection: Connection[DictRow]) -> bool:
            moved = execute(connection, sql("keeper", "settle_unknown"), values) > 0
            if moved and state is State.SKIPPED:
                key = {"execution_id": unknown.execution_id, "generation": unknown.generation}
                execute(connection, sql("orders", "end"), key | {"order_status": None})
            return moved

        if not self.record.run(unit):
            return False
        level = log.error if state is State.DEAD else log.info
        level(f"execution.{state}", execution_id=str(unknown.execution_id), reason=str(reason))
        if state is not State.HELD:
            self._free_symbol(unknown)
        return True

    def _postpone(self, unknown: UnknownExecution, lookup: Lookup, gap: timedelta) -> None:
        values = {
            "execution_id": unknown.execution_id,
            "fence": unknown.fence,
            "gap": gap,
            "absent": isinstance(lookup, Absent),
            "answered": is_answer(lookup),
        }
        self.record.do(sql("keeper", "postpone_lookup"), values)

    def _free_symbol(self, unknown: UnknownExecution) -> None:
        """Make the next execution of the symbol due; the redispatcher enqueues it."""
        values = {"executor_id": unknown.executor_id, "symbol": unknown.symbol, "seq": unknown.seq}
        self.record.do(sql("keeper", "free_symbol"), values)


def _followed(runtime: ExecutorRuntime, found: Found) -> Found | NoAnswer:
    """Return the order with the status and the fills of the order that has replaced it."""
    try:
        order = newest(runtime.urgent, found.order)
    except (BrokerUnavailable, BrokerRefusesAccount) as error:
        return NoAnswer(message=str(error), cause=NotSentCause.UNREACHABLE)
    except BrokerUnreadable as error:
        return NoAnswer(message=str(error))
    if order is None:
        return NoAnswer(message="the order that has replaced it is not shown")
    return replace(found, order=order)


def is_answer(lookup: Lookup) -> bool:
    """Return whether the broker answered at all; an answer that makes no sense counts."""
    return not isinstance(lookup, NoAnswer) or lookup.cause is None


def decide(
    unknown: UnknownExecution, intent: OrderRow, lookup: Lookup, *, gap: timedelta, attempts: int, retry_for_s: float
) -> LookupVerdict | None:
    """Decide how an execution goes on after a look-up that did not find our order; None: look it up again. Pure."""
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
    """Send the identical order again, unless that was tried too often or for too long."""
    if intent.order_id is not None:
        facts: dict[str, Any] = {"order_id": intent.order_id}
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ORDER_VANISHED, facts=facts))
    facts = {"attempts": unknown.attempts, "was": unknown.reason_code}
    again = Reason(code=Code.SEND_AGAIN, facts=facts)
    too_late = not may_resend(since_first_sent=unknown.now - (intent.first_sent_at or intent.intended_at))
    proved = is_proved_absent(unknown.absent_for)
    if too_late and unknown.reason_code == Code.REQUEUED:
        # It is too late for the same order, and a person asked for one. A new order needs a minute of clean absences.
        return LookupVerdict(state=State.HELD, reason=again, new_order=True) if proved else None
    if too_late and intent.role is Role.EXIT:
        # An exit has to get out, so another one is recorded for what is held then. That is a new order too.
        verdict = LookupVerdict(state=State.SKIPPED, reason=Reason(code=Code.EXIT_NOT_DONE, facts=facts))
        return verdict if proved else None
    beyond = unknown.attempts - attempts
    if beyond >= 0 and intent.role is Role.EXIT:
        # It has to get out, so it is sent again with growing pauses until it is too late for the same order.
        return LookupVerdict(state=State.HELD, reason=again, due_in=timedelta(seconds=_EXIT_PAUSES.after(beyond + 1)))
    if beyond >= 0 or too_late:
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ATTEMPTS_USED_UP, facts=facts))
    return LookupVerdict(state=State.HELD, reason=again)
