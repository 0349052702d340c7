"""Show the open dead letters as RQ's failed jobs, and remove the jobs that dead workers left in RQ's lists."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from pipeline.queues.jobs import DEAD_PREFIX, FUNCTION, DeadJob, ExecutionJob, text_of
from pipeline.queues.queue import ExecutionQueue

_AT_ONCE = 1000


class FailedRegistry:
    """Corrects RQ's FailedJobRegistry, StartedJobRegistry and intermediate list of each executor."""

    def __init__(self, queues: ExecutionQueue) -> None:
        self._queues = queues
        self._connection = queues.connection
        self._parked: dict[str, set[Any]] = {}

    def mirror(self, executor_id: str, dead_letters: Sequence[DeadJob]) -> None:
        """Make RQ's FailedJobRegistry of the executor equal to the open dead letters.

        A dead letter whose job is in the queue is skipped: a person requeued it on the dashboard, and a worker runs it.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self._queues.asked():
            queue = self._queues.queue(executor_id)
            registry = FailedJobRegistry(queue=queue)
            # The ids stay bytes: another program may have added ids that are not text, and those are removed too.
            members: Any = self._connection.zrange(registry.key, 0, -1)
            listed: set[bytes] = set(members)
            wanted = {dead_letter.job_id.encode(): dead_letter for dead_letter in dead_letters}
            prefixes = (Job.redis_job_namespace_prefix, Result.get_key(""))  # type: ignore[no-untyped-call]
            for some in _in_parts(sorted(listed - wanted.keys())):
                self._connection.zrem(registry.key, *some)
                self._connection.delete(*(prefix.encode() + job_id for job_id in some for prefix in prefixes))
            for job_id in wanted.keys() - listed:
                if self._connection.lpos(queue.key, wanted[job_id].job_id) is None:
                    self._show_dead(queue, registry, wanted[job_id])

    def _show_dead(self, queue: Queue, registry: FailedJobRegistry, dead_letter: DeadJob) -> None:
        job = ExecutionJob.create(
            FUNCTION,
            args=(str(dead_letter.execution_id),),
            connection=self._connection,
            id=dead_letter.job_id,
            timeout=-1,
            result_ttl=0,
            failure_ttl=-1,
            status=JobStatus.FAILED,
            description=dead_letter.description,
            origin=queue.name,
            serializer=JSONSerializer,
        )
        with self._connection.pipeline() as pipe:
            job.save(pipeline=pipe)
            registry.add(job, ttl=-1, exc_string=dead_letter.reason, pipeline=pipe)
            # The registry does not keep the reason, and without a reason rq-dashboard offers no Requeue.
            Result.create_failure(job, ttl=-1, exc_string=dead_letter.reason, pipeline=pipe)
            pipe.execute()

    def sweep(self, executor_id: str) -> None:
        """Remove the jobs that dead workers left in RQ's lists: PostgreSQL, not RQ, decides which executions run again.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self._queues.asked():
            queue = self._queues.queue(executor_id)
            started = queue.started_job_registry
            ended: Any = self._connection.zrangebyscore(started.key, 1, time.time())
            for some in _in_parts(ended):
                self._connection.zrem(started.key, *some)
                self._connection.delete(*(Job.key_for(text_of(entry).partition(":")[0]) for entry in some))
            # The ids stay bytes: another program may have pushed ids that are not text, and those are removed too.
            parked: set[Any] = set(self._connection.lrange(queue.intermediate_queue_key, 0, 499))
            # A job stays in this list for milliseconds. If it is still there at the next sweep, its worker has died.
            for parked_id in parked & self._parked.get(executor_id, set()):
                job_id = text_of(parked_id)
                gone = self._connection.lrem(queue.intermediate_queue_key, 1, parked_id)
                if gone and not job_id.startswith(DEAD_PREFIX):
                    self._connection.delete(Job.key_for(job_id))
            self._parked[executor_id] = parked


def _in_parts(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    # Another program may have added very many ids. A request for each would take minutes, so one request takes many.
    for first in range(0, len(ids), _AT_ONCE):
        yield ids[first : first + _AT_ONCE]
