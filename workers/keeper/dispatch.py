"""Enqueue the executions that are due, and take back the executions of workers that are gone."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog

from pipeline.model.crash_points import reached
from pipeline.model.errors import QueueUnavailable
from pipeline.model.reasons import Code
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.queues.dispatcher import description
from pipeline.queues.jobs import QueueJob
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

# The most executions in a batch: few enough for a short transaction, enough for 1,000 executions a second.
_BATCH = 200
# A worker claims the execution of a job within milliseconds of taking the job. If a held execution is still not claimed
# after this pause, and its job is not in the queue, the job counts as lost.
_ENQUEUE_AGAIN_S = 1.0


@dataclass(frozen=True, kw_only=True)
class _ExpiredLease:
    execution_id: UUID
    state: State


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """An execution that is due and whose symbol is free."""

    execution_id: UUID
    job_id: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class _Due:
    """An execution that was marked as enqueued."""

    execution_id: UUID
    executor_id: str
    job_id: str
    action: Action
    symbol: str
    confidence: Decimal | None
    seq: int
    due_at: datetime
    reason_code: str | None
    #: Whether a worker had it before.
    begun: bool

    @property
    def waited_for_open(self) -> bool:
        return self.reason_code == Code.MARKET_CLOSED


@dataclass(frozen=True, kw_only=True)
class Redispatcher:
    """Finds executions that no worker has. Safe to run twice, and safe to kill at any point.

    After a crash between the mark and the enqueueing, a queued execution is enqueued at the due time that the mark has
    set, and a held one as soon as a keeper leads.
    """

    record: Record
    queues: ExecutionQueue
    executor_ids: tuple[str, ...]
    who: str
    #: By execution and due time, when it was enqueued (monotonic). Held executions need this, since the mark does not
    #: move their due time: a worker cannot claim them before it.
    _enqueued: dict[tuple[UUID, datetime], float] = field(default_factory=dict)

    def run_once(self) -> int:
        """Do one batch of each kind of work, and return how many executions were taken back or enqueued.

        Raises:
            RecordUnavailable: PostgreSQL is away.
            QueueUnavailable: Redis is away; the marked executions are enqueued by a later run.
        """
        done, failed = self.free_leases(), None
        for executor_id in self.executor_ids:
            try:
                done += self.enqueue_due(executor_id)
            except QueueUnavailable as error:
                # Go on: one executor's queue key may be of the wrong type, and the other queues are not affected.
                failed = error
        if failed is not None:
            raise failed
        return done

    def free_leases(self) -> int:
        """End expired leases: the execution is queued again, or unknown when an order may have been sent."""
        values = {"limit": _BATCH, "moved_by": self.who}
        expired = self.record.all(_ExpiredLease, sql("keeper", "end_expired_leases"), values)
        for execution in expired:
            log.warning("lease.ran_out", execution_id=str(execution.execution_id), now=execution.state.value)
        reached("keeper.after_lease_sweep")
        return len(expired)

    def enqueue_due(self, executor_id: str) -> int:
        """Enqueue due executions whose last job is gone, so that each has at most one job even in a long queue."""
        key = {"executor_id": executor_id, "limit": _BATCH}
        candidates = self._not_just_enqueued(self.record.all(_Candidate, sql("keeper", "candidates"), key))
        if not candidates:
            return 0
        in_queue = self.queues.waiting(executor_id, [candidate.job_id for candidate in candidates])
        waiting = [each.execution_id for each, waits in zip(candidates, in_queue, strict=True) if waits]
        gone = [each.execution_id for each, waits in zip(candidates, in_queue, strict=True) if not waits]
        if waiting:
            self.record.do(sql("keeper", "postpone"), {"execution_ids": waiting})
        due = self.record.all(_Due, sql("keeper", "mark_due"), {"execution_ids": gone})
        self._enqueued.update({(each.execution_id, each.due_at): time.monotonic() for each in due})
        reached("keeper.after_mark")
        self.queues.enqueue(_in_order(due))
        reached("keeper.after_enqueue")
        return len(due)

    def _not_just_enqueued(self, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        """Leave out held executions whose job a worker may just have popped: such a job is no longer in the queue."""
        now = time.monotonic()
        for key in [key for key, at in list(self._enqueued.items()) if now - at > _ENQUEUE_AGAIN_S]:
            self._enqueued.pop(key, None)
        return [each for each in candidates if (each.execution_id, each.due_at) not in self._enqueued]


def _in_order(due: Sequence[_Due]) -> list[QueueJob]:
    """Return the jobs: first what waited for the market to open, in the order of release; then the others by age."""
    released = sorted((each for each in due if each.waited_for_open), key=lambda each: each.due_at)
    others = sorted((each for each in due if not each.waited_for_open), key=lambda each: each.seq)
    return [_job(each) for each in (*released, *others)]


def _job(due: _Due) -> QueueJob:
    return QueueJob(
        execution_id=due.execution_id,
        executor_id=due.executor_id,
        job_id=due.job_id,
        description=description(
            action=due.action, symbol=due.symbol, confidence=due.confidence, executor_id=due.executor_id
        ),
        # An execution that a worker had before does not wait behind the whole queue again. One that waited for the
        # market to open does, so that a later batch of released executions stays behind an earlier one.
        at_front=due.begun and not due.waited_for_open,
    )
