"""Find in the record the executions that the queue does not deliver, and run them."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from pipeline.model.errors import Unavailable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.execution.runner import ExecutionRunner

log = structlog.get_logger(__name__)

#: A worker takes an execution from the record when it has waited for this long.
WAITED = timedelta(seconds=5)
_LOOK_EVERY_S = 1.0
_MOST = 20


@dataclass(kw_only=True)
class OverdueExecutions:
    """Runs overdue executions of one executor, in case the queue cannot be read or is full of jobs that run nothing."""

    record: Record
    runner: ExecutionRunner
    executor_id: str
    _looked_at: float = field(default=float("-inf"))

    def run_once(self) -> None:
        """Run the overdue executions, the oldest first; at most once a second."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        values = {"executor_id": self.executor_id, "waited": WAITED, "limit": _MOST}
        try:
            for execution_id in self.record.all(UUID, sql("executions", "overdue"), values):
                log.warning("execution.taken_from_the_record", execution_id=str(execution_id))
                self.runner.run(execution_id)
        except Unavailable as error:
            log.debug("overdue.waits", error=str(error))
        self._looked_at = time.monotonic()
