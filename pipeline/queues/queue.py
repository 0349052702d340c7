"""Enqueue jobs for executors, and look up which of them still wait."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis import Redis
from rq import Queue
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer

from pipeline.model.errors import QueueBroken, QueueUnavailable
from pipeline.queues.jobs import FUNCTION, ExecutionJob, QueueJob, queue_name
from pipeline.queues.redis_server import check_writes, mapped, queue_outage


class ExecutionQueue:
    """The queues of all executors."""

    def __init__(self, connection: Redis) -> None:
        self.connection = connection
        self._outage = queue_outage(connection)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Map the errors of redis-py to ours, and log an outage once.

        The outage counts as over only after a successful write, since a full Redis still answers reads.
        """
        try:
            if self._outage.failing:
                check_writes(self.connection)
            with mapped():
                yield
        except QueueBroken:
            # Redis is not away. `queue_faults` finds the key, and the keeper raises an alert.
            self._outage.record_success()
            raise
        except QueueUnavailable as error:
            self._outage.record_failure(error)
            raise
        self._outage.record_success()

    def queue(self, executor_id: str) -> Queue:
        """Return the RQ queue of an executor."""
        return Queue(
            queue_name(executor_id), connection=self.connection, serializer=JSONSerializer, job_class=ExecutionJob
        )

    def enqueue(self, jobs: Sequence[QueueJob]) -> None:
        """Enqueue *jobs* in the order given, in one transaction per executor.

        Raises:
            QueueUnavailable: Redis is away. Some jobs may be enqueued nevertheless, which does no harm.
            QueueBroken: an executor's queue is broken. The jobs of all other executors are enqueued.
        """
        by_executor: dict[str, list[QueueJob]] = {}
        for job in jobs:
            by_executor.setdefault(job.executor_id, []).append(job)
        broken: QueueBroken | None = None
        for executor_id, its_jobs in by_executor.items():
            try:
                with self.asked():
                    self.queue(executor_id).enqueue_many([_queue_data(job) for job in _pushed(its_jobs)])
            except QueueBroken as error:
                broken = error
        if broken is not None:
            raise broken

    def waiting(self, executor_id: str, job_ids: Sequence[str]) -> list[bool]:
        """Return for each job whether it still waits in the executor's queue. Raises QueueUnavailable."""
        if not job_ids:
            return []
        with self.asked():
            key = self.queue(executor_id).key
            pipe = self.connection.pipeline(transaction=False)  # One round trip for all of them.
            for job_id in job_ids:
                pipe.lpos(key, job_id)
            return [position is not None for position in pipe.execute()]

    def depth(self, executor_id: str) -> int:
        """Return how many jobs wait for the executor. Raises QueueUnavailable."""
        with self.asked():
            return int(self.queue(executor_id).count)


def _queue_data(job: QueueJob) -> EnqueueData:
    return Queue.prepare_data(
        FUNCTION,
        args=(str(job.execution_id),),
        timeout=-1,  # No limit of RQ: the lease limits an execution.
        result_ttl=0,  # The record has the result.
        failure_ttl=-1,  # No job expires.
        job_id=job.job_id,
        description=job.description,
        at_front=job.at_front,
    )


def _pushed(jobs: Sequence[QueueJob]) -> list[QueueJob]:
    # Each job for the front is pushed before all that are in the queue, so these jobs are pushed in reverse order.
    return [*(job for job in jobs if not job.at_front), *(job for job in reversed(jobs) if job.at_front)]
