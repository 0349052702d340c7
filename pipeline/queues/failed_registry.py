"""Make what RQ shows equal to the record: its failed page, and its lists of what runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from pipeline.queues.jobs import DEAD_PREFIX, FUNCTION, DeadJob, ExecutionJob, text_of
from pipeline.queues.queue import ExecutionQueue


class FailedRegistry:
    """RQ's FailedJobRegistry and the traces of dead workers, per executor."""

    def __init__(self, queues: ExecutionQueue) -> None:
        self._queues = queues
        self._connection = queues.connection
        self._parked: dict[str, set[str]] = {}

    def mirror(self, executor_id: str, letters: Sequence[DeadJob]) -> None:
        """Make RQ's FailedJobRegistry of the executor equal to the open dead letters.

        A dead letter whose job was put back on the queue by the dashboard is left to the worker.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self._queues.asked():
            queue = self._queues.queue(executor_id)
            registry = FailedJobRegistry(queue=queue)
            # As bytes: somebody else may have put anything there, and it goes all the same.
            members: Any = self._connection.zrange(registry.key, 0, -1)
            shown: set[bytes] = set(members)
            owed = {letter.job_id.encode(): letter for letter in letters}
            for job_id in shown - owed.keys():
                self._connection.zrem(registry.key, job_id)
                prefixes = (Job.redis_job_namespace_prefix, Result.get_key(""))  # type: ignore[no-untyped-call]
                self._connection.delete(*(prefix.encode() + job_id for prefix in prefixes))
            for job_id in owed.keys() - shown:
                if self._connection.lpos(queue.key, owed[job_id].job_id) is None:
                    self._show_dead(queue, registry, owed[job_id])

    def _show_dead(self, queue: Queue, registry: FailedJobRegistry, letter: DeadJob) -> None:
        job = ExecutionJob.create(
            FUNCTION,
            args=(str(letter.execution_id),),
            connection=self._connection,
            id=letter.job_id,
            timeout=-1,
            result_ttl=0,
            failure_ttl=-1,
            status=JobStatus.FAILED,
            description=letter.description,
            origin=queue.name,
            serializer=JSONSerializer,
        )
        with self._connection.pipeline() as pipe:
            job.save(pipeline=pipe)
            registry.add(job, ttl=-1, exc_string=letter.reason, pipeline=pipe)
            # The registry alone keeps no reason, and without one rq-dashboard offers no Requeue.
            Result.create_failure(job, ttl=-1, exc_string=letter.reason, pipeline=pipe)
            pipe.execute()

    def sweep(self, executor_id: str) -> None:
        """Forget what dead workers left in RQ's lists: the record, not RQ, decides what runs again.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self._queues.asked():
            queue = self._queues.queue(executor_id)
            started = queue.started_job_registry
            for entry in map(text_of, self._connection.zrangebyscore(started.key, 1, time.time())):
                self._connection.zrem(started.key, entry)
                self._connection.delete(Job.key_for(entry.partition(":")[0]))
            # As bytes: an id may be whatever somebody pushed, and it goes all the same.
            parked: set[Any] = set(self._connection.lrange(queue.intermediate_queue_key, 0, 499))
            # A job is parked for milliseconds; one that is still there in the next round was a dead worker's.
            for parked_id in parked & self._parked.get(executor_id, set()):
                job_id = text_of(parked_id)
                gone = self._connection.lrem(queue.intermediate_queue_key, 1, parked_id)
                if gone and not job_id.startswith(DEAD_PREFIX):
                    self._connection.delete(Job.key_for(job_id))
            self._parked[executor_id] = parked
