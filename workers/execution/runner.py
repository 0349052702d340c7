"""Run one execution from the queue to the broker's answer, step by step.

Each step is at most one transaction, and no transaction is open during a network call. The fence in the record guards
each write: a process whose fence is outdated changes nothing.
"""

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import structlog

from config.schema.executor import settings_hash
from pipeline.model.crash_points import reached
from pipeline.model.errors import RecordUnavailable
from pipeline.model.orders import OrderRequest
from pipeline.model.reasons import Code, Reason
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ClaimedExecution
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.blocking_orders import BlockingOrders
from workers.execution.broker_inputs import BrokerInputs
from workers.execution.claims import claim_execution, claim_or_wait
from workers.execution.lease import LEASE, Lease, LeaseKeeper
from workers.execution.order_intents import Intended
from workers.execution.pre_trade_check import PreTradeCheck
from workers.execution.result_recorder import ResultRecorder
from workers.rules.retry_policy import FIRST_LOOKUP, Transition, after_submit

log = structlog.get_logger(__name__)

# The most executions of one symbol that are run in a row; the others are run by their own jobs.
_LONGEST_CHAIN = 1000


@dataclass(frozen=True, kw_only=True)
class ExecutionRunner:
    """Runs the executions of one executor in one process."""

    record: Record
    runtime: ExecutorRuntime
    leases: LeaseKeeper
    check: PreTradeCheck
    results: ResultRecorder
    #: The name of this process in the history.
    worker: str

    def run(self, execution_id: UUID) -> bool:
        """Run an execution, then those that waited for its symbol; return whether it could be claimed.

        Raises:
            RecordUnavailable: PostgreSQL stayed away. The keeper finds a begun execution when its lease ends.
        """
        following: UUID | None = execution_id
        for done in range(_LONGEST_CHAIN):
            claimed = None if following is None else self._execute(following)
            if claimed is None:
                return done > 0
            following = self._next_of_symbol(claimed)
        return True

    def run_alone(self, execution_id: UUID) -> None:
        """Run one execution. The keeper enqueues the next of its symbol.

        Raises:
            RecordUnavailable: as `run` does.
        """
        claimed = self._execute(execution_id)
        if claimed is not None:
            self.record.do(sql("keeper", "free_symbol"), _later(claimed))

    def _execute(self, execution_id: UUID) -> ClaimedExecution | None:
        """Claim, check, write the intent, send and record; return None when there was nothing to claim."""
        asked_at = time.monotonic()
        claimed = self.claim(execution_id)
        if claimed is None:
            return None
        reached("worker.after_take")
        with self.leases.keep(claimed.execution_id, claimed.fence, asked_at=asked_at) as lease:
            self._settle(claimed, lease)
        reached("worker.after_record")
        return claimed

    def claim(self, execution_id: UUID) -> ClaimedExecution | None:
        """Claim the execution by compare-and-set.

        Return None if another process has it, if it has ended or is not due, or if an earlier one of its symbol is
        undecided.
        """
        values = {
            "execution_id": execution_id,
            "worker": self.worker,
            "lease": LEASE,
            "token": uuid4(),
            "settings_hash": self._settings_hash,
        }
        claimed, waits = self.record.run(lambda connection: claim_or_wait(connection, values, self.runtime.executor))
        if waits:
            # The earlier execution may have been decided before our mark was visible. It is visible now, so try again.
            claimed = self.record.run(lambda connection: claim_execution(connection, values))
        return claimed

    @cached_property
    def _settings_hash(self) -> str:
        return settings_hash(self.runtime.executor)

    def _settle(self, claimed: ClaimedExecution, lease: Lease) -> None:
        """Decide and carry the decision out. A failure of our own ends in a state with a reason, too."""
        intended: Intended | None = None
        try:
            verdict = self.check.decide(claimed)
            if isinstance(verdict, Transition):
                self.results.settle(claimed, verdict)
                return
            intended = verdict
            reached("worker.after_intent")
            self._send(claimed, intended, lease)
        except RecordUnavailable:
            raise  # The keeper finds the execution when its lease runs out.
        except Exception as error:
            log.exception("execution.failed", execution_id=str(claimed.execution_id))
            self.results.settle(claimed, _own_failure(error, sent=intended is not None))

    def _send(self, claimed: ClaimedExecution, intended: Intended, lease: Lease) -> None:
        """Send the order once and record the answer. With too little of the lease left, the order is not sent."""
        if not lease.safe_to_send():
            reason = Reason(code=Code.LEASE_TOO_SHORT)
            hold = Transition(state=State.HELD, reason=reason, due_in=timedelta(0), may_exist=not intended.sole)
            self.results.settle(claimed, hold, intended)
            return
        request = OrderRequest.from_json(intended.order.request)
        sent_at = time.monotonic()
        outcome = self.runtime.broker.submit(request)
        took_ms = (time.monotonic() - sent_at) * 1000
        reached("worker.after_send")
        order, age = intended.order, claimed.now - claimed.created_at
        transition = after_submit(outcome, age=age, role=order.role, quantity=order.quantity, rest=order.rest)
        self.results.record(claimed, intended, outcome, transition, took_ms=took_ms)

    def _next_of_symbol(self, claimed: ClaimedExecution) -> UUID | None:
        """Return the next execution of the same symbol that waited for *claimed* and may be claimed now."""
        following = self.record.maybe(UUID, sql("executions", "next_of_symbol"), _later(claimed))
        reached("worker.after_handover")
        return following


def _later(claimed: ClaimedExecution) -> dict[str, Any]:
    """Return the values that select the later executions of the same symbol."""
    return {"executor_id": claimed.executor_id, "symbol": claimed.symbol, "seq": claimed.seq}


def _own_failure(error: Exception, *, sent: bool) -> Transition:
    """Return the state after a failure of our own: unknown when the order may have been sent, else a dead letter."""
    reason = Reason(code=Code.INTERNAL_ERROR, facts={"error": type(error).__name__})
    if sent:
        return Transition(state=State.UNKNOWN, reason=reason, due_in=FIRST_LOOKUP, attempts=1)
    return Transition(state=State.DEAD, reason=reason)


def runner_of(runtime: ExecutorRuntime, *, record: Record, leases: LeaseKeeper, worker: str) -> ExecutionRunner:
    """Build the runner of one executor."""
    inputs = BrokerInputs(record=record, runtime=runtime)
    blocking = BlockingOrders(record=record, runtime=runtime, worker=worker)
    return ExecutionRunner(
        record=record,
        runtime=runtime,
        leases=leases,
        check=PreTradeCheck(record=record, runtime=runtime, inputs=inputs, blocking=blocking),
        results=ResultRecorder(store=record, worker=worker),
        worker=worker,
    )
