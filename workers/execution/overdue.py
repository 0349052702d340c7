"""Find in the record the executions that the queue does not deliver, and run them."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from pipeline.model.errors import Unavailable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.execution.queue_trouble import QueueTrouble
from workers.execution.runner import ExecutionRunner

log = structlog.get_logger(__name__)

#: A worker takes an execution from the record when it has waited for this long.
WAITED = timedelta(seconds=5)
_LOOK_EVERY_S = 1.0
_MOST = 20


@dataclass(frozen=True, kw_only=True)
class _Overdue:
    execution_id: UUID
    #: Whether it was enqueued several times, and no worker ever had it.
    jobs_lost: bool


@dataclass(kw_only=True)
class OverdueExecutions:
    """Runs overdue executions of one executor, in case the queue does not bring their jobs.

    The queue may be unreadable or full of jobs that run nothing, or another client may take the jobs out of it.
    """

    record: Record
    runner: ExecutionRunner
    trouble: QueueTrouble
    executor_id: str
    _looked_at: float = field(default=float("-inf"))

    def run_once(self) -> None:
        """Run the overdue executions, the oldest first; at most once a second."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        values = {"executor_id": self.executor_id, "waited": WAITED, "limit": _MOST}
        try:
            for each in self.record.all(_Overdue, sql("executions", "overdue"), values):
                log.warning("execution.taken_from_the_record", execution_id=str(each.execution_id))
                if self.runner.run(each.execution_id) and each.jobs_lost:
                    self.trouble.record_missed()
        except Unavailable as error:
            log.debug("overdue.waits", error=str(error))
        self._looked_at = time.monotonic()
