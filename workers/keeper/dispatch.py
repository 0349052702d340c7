"""Ring for what waits, and free what a gone worker held: the record's side of the keeper."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from pipeline.model.crash_points import reached
from pipeline.model.reasons import Code
from pipeline.model.states import State
from pipeline.queues.dispatcher import description
from pipeline.queues.jobs import QueueJob
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

# One batch: small enough to be one short transaction, large enough for 1,000 a second.
_BATCH = 200
# A job that a worker popped becomes a take within milliseconds; after so long it is lost.
_RING_AGAIN_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Redispatcher:
    """Finds executions that nobody is working on. Safe to run twice, and safe to kill anywhere.

    A crash after the mark and before the bell costs one round: the mark says when to ring again.
    """

    record: Record
    queues: ExecutionQueue
    executor_ids: tuple[str, ...]
    who: str
    #: When we rang for a hold that is over. Its due time cannot be moved as that of a queued one: a take asks for it.
    _rung: dict[tuple[UUID, datetime], float] = field(default_factory=dict)

    def run_once(self) -> int:
        """Do one batch of everything and return how many were moved or rung for.

        Raises:
            RecordUnavailable: PostgreSQL is away.
            QueueUnavailable: Redis is away; what was marked is rung for in the next round.
        """
        freed = self.free_leases()
        return freed + sum(self.ring_due(executor_id) for executor_id in self.executor_ids)

    def free_leases(self) -> int:
        """Take back what a gone worker held: to the queue, or to unknown when an order may have been sent."""
        values = {"limit": _BATCH, "moved_by": self.who}
        rows = self.record.run(lambda connection: connection.execute(sql("keeper", "leases_over"), values).fetchall())
        for row in rows:
            log.warning("lease.ran_out", execution_id=str(row["execution_id"]), now=State(row["state"]).value)
        reached("keeper.after_lease_sweep")
        return len(rows)

    def ring_due(self, executor_id: str) -> int:
        """Enqueue what is due and whose last job is really gone, so that an overloaded queue is not flooded."""
        key: dict[str, Any] = {"executor_id": executor_id, "limit": _BATCH}
        found = self.record.run(lambda connection: connection.execute(sql("keeper", "candidates"), key).fetchall())
        rows = self._not_just_rung(found)
        if not rows:
            return 0
        waiting = self.queues.waiting(executor_id, [row["job_id"] for row in rows])
        patient = [row["execution_id"] for row, waits in zip(rows, waiting, strict=True) if waits]
        if patient:
            self._leave(patient)
        gone = {"execution_ids": [row["execution_id"] for row, waits in zip(rows, waiting, strict=True) if not waits]}
        due = self.record.run(lambda connection: connection.execute(sql("keeper", "due"), gone).fetchall())
        self._rung.update({(row["execution_id"], row["due_at"]): time.monotonic() for row in due})
        reached("keeper.after_mark")
        self.queues.enqueue(_in_turn(due))
        reached("keeper.after_enqueue")
        return len(due)

    def _not_just_rung(self, rows: Iterable[DictRow]) -> list[DictRow]:
        """Leave out holds whose job may have been popped a moment ago, and is not in anybody's queue for that."""
        now = time.monotonic()
        for key in [key for key, at in list(self._rung.items()) if now - at > _RING_AGAIN_S]:
            self._rung.pop(key, None)
        return [row for row in rows if (row["execution_id"], row["due_at"]) not in self._rung]

    def _leave(self, execution_ids: Iterable[UUID]) -> None:
        values = {"execution_ids": list(execution_ids)}
        self.record.run(lambda connection: connection.execute(sql("keeper", "still_waiting"), values))


def _in_turn(due: Sequence[DictRow]) -> list[QueueJob]:
    """Return the jobs by age; what waited for the market in the order of its release, also over several batches."""
    opened = sorted((row for row in due if _was_closed(row)), key=itemgetter("due_at"))
    others = sorted((row for row in due if not _was_closed(row)), key=itemgetter("seq"))
    return [_ring(row) for row in (*opened, *others)]


def _was_closed(row: DictRow) -> bool:
    return bool(row["reason_code"] == Code.MARKET_CLOSED)


def _ring(row: dict[str, Any]) -> QueueJob:
    return QueueJob(
        execution_id=row["execution_id"],
        executor_id=row["executor_id"],
        job_id=row["job_id"],
        description=description(
            action=row["action"],
            symbol=row["symbol"],
            confidence=row["confidence"],
            executor_id=row["executor_id"],
        ),
        # It has waited for its first turn already; behind a backlog it would wait for another. A later batch of those
        # that waited for the market goes behind the earlier one.
        at_front=row["begun"] and not _was_closed(row),
    )
