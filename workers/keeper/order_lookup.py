"""Find out what became of orders that the broker may or may not have."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable
from pipeline.model.orders import PROVED_ABSENT_AFTER
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.record import Record
from pipeline.store.rows import OrderRow
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Absent, Found, Lookup, NoAnswer, NotSentCause
from workers.execution.results import follow, matches, record_broker_order
from workers.rules.retry_policy import RESEND_WITHIN, lookup_gap, may_send_again

log = structlog.get_logger(__name__)

_BATCH = 32
# Keeps two leaders from asking the same at once. A keeper that dies leaves its claims behind, and they end soon after
# another can lead: asking twice is harmless, waiting is not.
_CLAIM = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class LookupVerdict:
    """What one look-up decides: a move, or (no state) to look again."""

    state: State | None = None
    reason: Reason | None = None
    #: The next try is a new order: the old one was proved absent after a person's requeue.
    new_order: bool = False


@dataclass(frozen=True, kw_only=True)
class OrderLookup:
    """Looks unknown orders up. A crash anywhere repeats a look-up; moves are compare-and-set."""

    record: Record
    queues: ExecutionQueue
    runtimes: Mapping[str, ExecutorRuntime]
    pool: ThreadPoolExecutor
    who: str

    def run_once(self) -> int:
        """Look up one batch of what is due, and return how many were settled.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        values = {"claim": _CLAIM, "limit": _BATCH, "executor_ids": list(self.runtimes)}
        rows = self.record.run(lambda connection: connection.execute(sql("keeper", "claim_unknown"), values).fetchall())
        return sum(self.pool.map(self._resolve, rows))

    def _resolve(self, row: DictRow) -> bool:
        runtime = self.runtimes[row["executor_id"]]
        intent = self._intent(row)
        lookup = self._look(runtime, row, intent)
        reached("keeper.after_lookup")
        gap = lookup_gap(row["lookups"])
        if isinstance(lookup, Found) and matches(intent, lookup.order):
            settled = self._adopt(row, intent, lookup)
        else:
            verdict = judge(
                row,
                intent,
                lookup,
                gap=gap,
                attempts=runtime.executor.retry.attempts,
                retry_for_s=runtime.executor.retry.unknown_s,
            )
            if verdict.state is None:
                self._look_again(row, lookup, gap)
                return False
            settled = self._settle(row, verdict)
        reached("keeper.after_resolve")
        return settled

    def _intent(self, row: DictRow) -> OrderRow:
        key = {"execution_id": row["execution_id"], "generation": row["generation"]}
        order = self.record.run(lambda connection: connection.execute(sql("orders", "of_execution"), key).fetchone())
        assert order is not None, "an unknown execution has an intent"
        return OrderRow.of(order)

    def _look(self, runtime: ExecutorRuntime, row: DictRow, intent: OrderRow) -> Lookup:
        """Ask by our id, and from the second time on in the order list too."""
        try:
            refusal = runtime.snapshots.refusal()
        except (BrokerUnavailable, BrokerUnreadable) as error:
            return NoAnswer(message=str(error), cause=NotSentCause.UNREACHABLE)
        if refusal is not None:
            return NoAnswer(message=refusal.message, cause=NotSentCause.ACCOUNT_REFUSED)
        lookup = runtime.broker.find(intent.client_order_id)
        if isinstance(lookup, Absent) and (row["lookups"] > 0 or row["reason_code"] == Code.DUPLICATE_ID):
            lookup = runtime.broker.find_in_list(
                intent.client_order_id, since=intent.intended_at - timedelta(seconds=60)
            )
        if isinstance(lookup, NoAnswer) and lookup.cause is NotSentCause.ACCOUNT_REFUSED:
            runtime.snapshots.refused(lookup.message)
        return lookup

    def _adopt(self, row: DictRow, intent: OrderRow, found: Found) -> bool:
        """The broker has it: its word is ours."""

        def unit(connection: Connection[DictRow]) -> DictRow | None:
            record_broker_order(connection, found.order)
            return follow(connection, intent.execution_id, intent.generation, found.order, by=self.who)

        moved = self.record.run(unit)
        if moved is not None:
            log.info("order.found", execution_id=str(intent.execution_id), order_id=found.order.order_id)
            self._free_symbol(row)
        return moved is not None

    def _settle(self, row: DictRow, verdict: LookupVerdict) -> bool:
        assert verdict.state is not None
        reason = verdict.reason or Reason(code=Code.SEND_AGAIN)
        values = {
            "execution_id": row["execution_id"],
            "fence": row["fence"],
            "state": verdict.state,
            "reason_code": reason.code,
            "reason_facts": Json(reason.to_json()),
            "new_order": verdict.new_order,
            "moved_by": self.who,
        }
        moved = self.record.run(lambda connection: connection.execute(sql("keeper", "resolve"), values).fetchone())
        if moved is None:
            return False
        level = log.error if verdict.state is State.DEAD else log.info
        level(f"execution.{verdict.state}", execution_id=str(row["execution_id"]), reason=str(reason))
        if verdict.state is not State.HELD:
            self._free_symbol(row)
        return True

    def _look_again(self, row: DictRow, lookup: Lookup, gap: timedelta) -> None:
        values = {
            "execution_id": row["execution_id"],
            "fence": row["fence"],
            "gap": gap,
            "absent": isinstance(lookup, Absent),
            "answered": answered(lookup),
            "reason_code": None,
        }
        self.record.run(lambda connection: connection.execute(sql("keeper", "still_unknown"), values))

    def _free_symbol(self, row: DictRow) -> None:
        """What waited for this symbol is due now; the sweep rings for it in the same round."""
        values = {"executor_id": row["executor_id"], "symbol": row["symbol"], "seq": row["seq"]}
        self.record.run(lambda connection: connection.execute(sql("keeper", "free_symbol"), values))


def answered(lookup: Lookup) -> bool:
    """Say whether the broker answered at all; an answer that makes no sense is one."""
    return not isinstance(lookup, NoAnswer) or lookup.cause is None


def judge(
    row: Mapping[str, Any],
    intent: OrderRow,
    lookup: Lookup,
    *,
    gap: timedelta,
    attempts: int,
    retry_for_s: float,
) -> LookupVerdict:
    """Decide what a look-up means that did not find our order. Pure; *row* is the unknown execution."""
    if isinstance(lookup, Found):
        facts: dict[str, Any] = {
            "order_id": lookup.order.order_id,
            "symbol": lookup.order.symbol,
            "side": str(lookup.order.side),
        }
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ORDER_MISMATCH, facts=facts))
    waited: timedelta = row["unknown_answered"] + (gap if answered(lookup) else timedelta(0))
    if isinstance(lookup, Absent) and row["reason_code"] != Code.DUPLICATE_ID:
        sent_at = intent.last_sent_at or intent.intended_at
        if may_send_again(absences=row["absences"] + 1, since_sent=row["now"] - sent_at):
            return _absent(row, intent, attempts=attempts)
    if waited.total_seconds() > retry_for_s:
        facts = {
            "answered_for_s": round(waited.total_seconds(), 1),
            "was": row["reason_code"],
            "lookups": row["lookups"] + 1,
        }
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.UNKNOWN_TOO_LONG, facts=facts))
    return LookupVerdict()


def _absent(row: Mapping[str, Any], intent: OrderRow, *, attempts: int) -> LookupVerdict:
    """The broker does not have it: send the identical order again, unless that was tried often or long enough."""
    if intent.order_id is not None:
        return LookupVerdict(
            state=State.DEAD, reason=Reason(code=Code.ORDER_VANISHED, facts={"order_id": intent.order_id})
        )
    facts = {"attempts": row["attempts"], "was": row["reason_code"]}
    too_late = row["now"] - (intent.first_sent_at or intent.intended_at) > RESEND_WITHIN
    if too_late and row["reason_code"] == Code.REQUEUED:
        # Too late for the same order, and a person asked for one: it takes a minute of clean absence to dare a new one.
        proved = row["absent_for"] >= PROVED_ABSENT_AFTER
        return (
            LookupVerdict(state=State.HELD, reason=Reason(code=Code.SEND_AGAIN, facts=facts), new_order=True)
            if proved
            else LookupVerdict()
        )
    if row["attempts"] >= attempts or too_late:
        return LookupVerdict(state=State.DEAD, reason=Reason(code=Code.ATTEMPTS_USED_UP, facts=facts))
    return LookupVerdict(state=State.HELD, reason=Reason(code=Code.SEND_AGAIN, facts=facts))
