"""Enqueue recorded executions: after the commit, never before."""

import random
import time
from collections.abc import Iterable
from decimal import Decimal

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.errors import QueueBroken, QueueUnavailable
from pipeline.model.states import State
from pipeline.queues.jobs import QueueJob
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.rows import ExecutionRow

log = structlog.get_logger(__name__)


def job_id(execution_id: object, enqueues: int) -> str:
    """Return the id of the n-th job of an execution. Each job has a new id, so that no old job blocks it."""
    return f"{execution_id}-{enqueues}"


def description(action: str, symbol: str, confidence: Decimal | None, executor_id: str) -> str:
    """Return the text that rq-dashboard shows for a job: `BUY AAPL 98.0 % → argo`."""
    percent = "" if confidence is None else f" {confidence:.1f} %"
    return f"{action} {symbol}{percent} → {executor_id}"


# While Redis is away, a try may last until its time limit, so it is made only once per pause and not for every signal.
_BACKOFF = Backoff(first_s=0.2, longest_s=5.0)


class Dispatcher:
    """Enqueues recorded executions. The keeper enqueues later those that could not be enqueued, so none is lost."""

    def __init__(self, queues: ExecutionQueue) -> None:
        self._queues = queues
        self._failures = 0
        self._again_at = 0.0

    def depth(self, executor_id: str) -> int:
        """Return how many jobs wait for the executor. Raises QueueUnavailable."""
        return self._queues.depth(executor_id)

    def enqueue(self, executions: Iterable[ExecutionRow]) -> bool:
        """Enqueue those of *executions* that are queued; return False when some of them are left to the keeper."""
        if time.monotonic() < self._again_at:
            return False
        jobs = [_first_job(execution) for execution in executions if execution.state is State.QUEUED]
        try:
            self._queues.enqueue(jobs)
        except QueueBroken as error:
            # There is no pause, because the next execution may be for another queue.
            log.debug("relay.left_to_the_keeper", executions=len(jobs), error=str(error))
            return False
        except QueueUnavailable as error:
            self._failures += 1
            # Jitter, so that not all processes try at the same moment.
            pause_s = _BACKOFF.after(self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 -- not a secret
            self._again_at = time.monotonic() + pause_s
            log.debug("relay.left_to_the_keeper", executions=len(jobs), error=str(error))
            return False
        reached("relay.after_enqueue")
        self._failures = 0
        return True


def _first_job(execution: ExecutionRow) -> QueueJob:
    return QueueJob(
        execution_id=execution.execution_id,
        executor_id=execution.executor_id,
        job_id=job_id(execution.execution_id, 1),
        description=description(execution.action, execution.symbol, execution.confidence, execution.executor_id),
    )
