"""Look up orders that the broker may or may not have, and decide how their executions go on."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.model.reasons import with_request_id
from pipeline.model.states import State
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.rows import OrderRow
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Absent, Found, Lookup, NoAnswer, NotSentCause
from workers.execution.broker_orders import follow, matches, record_broker_order
from workers.execution.replaced_orders import newest
from workers.keeper.lookup_verdict import LookupVerdict, UnknownExecution, decide, is_answer
from workers.rules.retry_policy import lookup_gap

log = structlog.get_logger(__name__)

_BATCH = 32
# A claimed look-up is not due again for this long, so that two leaders do not look up the same order at once. This is
# little more than a leader's lease (3 s), because the look-ups of a keeper that died wait until it is over.
_CLAIM = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class OrderLookup:
    """Looks up unknown orders. A crash at most repeats a look-up, because every state change is a compare-and-set."""

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
        """Look the order up by our id. If it is absent, search the broker's list of orders too.

        The list is searched from the second look-up on, or at once if the broker has answered that the id exists.
        """
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
    """Return *found* with the status and fills of its newest replacement; NoAnswer if a replacement cannot be read."""
    try:
        order = newest(runtime.urgent, found.order)
    except (BrokerUnavailable, BrokerRefusesAccount) as error:
        return NoAnswer(message=str(error), cause=NotSentCause.UNREACHABLE)
    except BrokerUnreadable as error:
        return NoAnswer(message=str(error))
    if order is None:
        return NoAnswer(message="the order that has replaced it is not shown")
    return replace(found, order=order)
