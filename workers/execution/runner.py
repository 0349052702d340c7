"""Bring one execution from the queue to the broker's answer: the recipe, step by step.

Each step is at most one transaction, and no transaction is open across a network call. The record's fence is the
guard: whoever is late changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.model.crash_points import reached
from pipeline.model.errors import RecordUnavailable
from pipeline.model.orders import OrderRequest
from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action, Intent
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.brokers.protocol import Broker
from workers.execution.broker_inputs import BrokerInputs
from workers.execution.lease import LEASE, Lease, LeaseKeeper
from workers.execution.order_intents import Intended
from workers.execution.pre_trade_check import PreTradeCheck
from workers.execution.results import ResultRecorder
from workers.rules.retry_policy import FIRST_LOOKUP, Transition, after_submit

log = structlog.get_logger(__name__)

# A chain of hand-overs is as long as a burst of one symbol; beyond this the rest comes by its own jobs.
_LONGEST_CHAIN = 1000


@dataclass(frozen=True, kw_only=True)
class ExecutionRunner:
    """The recipe of one executor in one process."""

    executor: ExecutorSettings
    record: Record
    broker: Broker
    leases: LeaseKeeper
    check: PreTradeCheck
    answers: ResultRecorder
    #: Who we are, in history.
    worker: str

    def run(self, execution_id: UUID) -> None:
        """Execute, then whatever waited for the same symbol. Running it twice, or for an ended one, does nothing.

        Raises:
            RecordUnavailable: PostgreSQL stayed away; what was begun is found by its lease.
        """
        following: UUID | None = execution_id
        for _ in range(_LONGEST_CHAIN):
            if following is None:
                return
            following = self._execute(following)

    def _execute(self, execution_id: UUID) -> UUID | None:
        """Take, check, intend, send, record, hand over."""
        asked_at = time.monotonic()
        claimed = self.claim(execution_id)
        if claimed is None:
            return None
        reached("worker.after_take")
        with self.leases.keep(claimed.execution_id, claimed.fence, asked_at=asked_at) as lease:
            self._settle(claimed, lease)
        reached("worker.after_record")
        return self._hand_over(claimed)

    def claim(self, execution_id: UUID) -> ClaimedExecution | None:
        """Compare-and-set to submitting. None: somebody else's, over, or its symbol is not free."""
        key = {
            "execution_id": execution_id,
            "worker": self.worker,
            "lease": LEASE,
            "token": uuid4(),
            "settings_hash": self._settings_hash,
        }
        claimed, waits = self.record.run(
            lambda connection: _take_or_wait(connection, key, may_short=self.executor.order.allow_short)
        )
        if waits:
            # The earlier one may have been decided before our mark could be seen: now that it can, look once more.
            row = self.record.run(lambda connection: connection.execute(sql("executions", "take"), key).fetchone())
            claimed = None if row is None else ClaimedExecution.of(row)
        return claimed

    @cached_property
    def _settings_hash(self) -> str:
        return settings_hash(self.executor)

    def _settle(self, claimed: ClaimedExecution, lease: Lease) -> None:
        """Do what the check says. A failure of our own ends in a state with a reason too, never in silence."""
        intended: Intended | None = None
        try:
            verdict = self.check.decide(claimed)
            if isinstance(verdict, Transition):
                self.answers.settle(claimed, verdict)
                return
            intended = verdict
            reached("worker.after_intent")
            self._send(claimed, intended, lease)
        except RecordUnavailable:
            raise  # Whoever sweeps the lease finds what was begun.
        except Exception as error:
            log.exception("execution.failed", execution_id=str(claimed.execution_id))
            self.answers.settle(claimed, _own_failure(error, sent=intended is not None))

    def _send(self, claimed: ClaimedExecution, intended: Intended, lease: Lease) -> None:
        """Send the order once, if the lease is surely ours for long enough, and record the answer."""
        if not lease.safe_to_send():
            reason = Reason(code=Code.LEASE_TOO_SHORT)
            self.answers.settle(
                claimed,
                Transition(state=State.HELD, reason=reason, due_in=timedelta(0), may_exist=not intended.sole),
                intended,
            )
            return
        request = OrderRequest.from_json(intended.order.request)
        sent_at = time.monotonic()
        outcome = self.broker.submit(request)
        took_ms = (time.monotonic() - sent_at) * 1000
        reached("worker.after_send")
        transition = after_submit(outcome, age=claimed.now - claimed.created_at)
        self.answers.record(claimed, intended, outcome, transition, took_ms=took_ms)

    def _hand_over(self, claimed: ClaimedExecution) -> UUID | None:
        """Return the execution of the same symbol that came too early, if it may go now."""
        key = {"executor_id": claimed.executor_id, "symbol": claimed.symbol, "seq": claimed.seq}
        row = self.record.run(
            lambda connection: connection.execute(sql("executions", "next_of_symbol"), key).fetchone()
        )
        reached("worker.after_handover")
        return None if row is None else row["execution_id"]


def _take_or_wait(
    connection: Connection[DictRow], key: dict[str, Any], *, may_short: bool
) -> tuple[ClaimedExecution | None, bool]:
    """Take an execution; else mark it, for whoever decides the earlier one of its symbol. True: it was marked."""
    while True:
        row = connection.execute(sql("executions", "take"), key).fetchone()
        if row is not None:
            return ClaimedExecution.of(row), False
        blocked = connection.execute(sql("executions", "takeable"), key).fetchone()
        if blocked is None:
            return None, False
        if _surely_exits(blocked, may_short=may_short):
            for gone in connection.execute(sql("executions", "supersede_other_side"), key | blocked).fetchall():
                log.info("execution.superseded", execution_id=str(gone["execution_id"]), by=str(key["execution_id"]))
        # No mark: the earlier one is decided by now, so take again.
        if connection.execute(sql("executions", "wait_for_symbol"), key).fetchone() is not None:
            return None, True


def _surely_exits(row: DictRow, *, may_short: bool) -> bool:
    """Say whether an execution can only close: it is meant to, or it sells where nothing is ever sold short."""
    sells = row["action"] is Action.SELL and row["intent"] is not Intent.OPEN
    return row["intent"] is Intent.CLOSE or (sells and not may_short)


def _own_failure(error: Exception, *, sent: bool) -> Transition:
    """Return the state that our own failure leaves: for a person, or for a look-up when it may have been sent."""
    reason = Reason(code=Code.INTERNAL_ERROR, facts={"error": type(error).__name__})
    if sent:
        return Transition(state=State.UNKNOWN, reason=reason, due_in=FIRST_LOOKUP, attempts=1)
    return Transition(state=State.DEAD, reason=reason)


def runner_of(runtime: ExecutorRuntime, *, record: Record, leases: LeaseKeeper, worker: str) -> ExecutionRunner:
    """Put the recipe of one executor together."""
    return ExecutionRunner(
        executor=runtime.executor,
        record=record,
        broker=runtime.broker,
        leases=leases,
        check=PreTradeCheck(
            executor=runtime.executor,
            record=record,
            broker=runtime.broker,
            inputs=BrokerInputs(
                executor=runtime.executor,
                record=record,
                broker=runtime.broker,
                snapshots=runtime.snapshots,
                assets=runtime.assets,
                calendar=runtime.calendar,
            ),
        ),
        answers=ResultRecorder(record_=record, snapshots=runtime.snapshots, worker=worker),
        worker=worker,
    )
