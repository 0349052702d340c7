"""Ring at the executors' queues, and say what still stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from pipeline.model.errors import QueueUnavailable
from pipeline.queues.jobs import FUNCTION, ExecutionJob, QueueJob, queue_name
from pipeline.queues.redis_server import check_writes, mapped, queue_outage


class ExecutionQueue:
    """Rings at the executors' queues."""

    def __init__(self, connection: Redis) -> None:
        self.connection = connection
        self._outage = queue_outage(connection)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Map errors, and have an absence said once. Reads prove nothing of a Redis that takes no writes."""
        try:
            if self._outage.failing:
                check_writes(self.connection)
            with mapped():
                yield
        except QueueUnavailable as error:
            self._outage.record_failure(error)
            raise
        self._outage.record_success()

    def queue(self, executor_id: str) -> Queue:
        """Return the RQ queue of an executor."""
        return Queue(
            queue_name(executor_id),
            connection=self.connection,
            serializer=JSONSerializer,
            job_class=ExecutionJob,
        )

    def enqueue(self, rings: Sequence[QueueJob]) -> None:
        """Enqueue in the order given, one transaction per executor.

        Raises:
            QueueUnavailable: Redis is away; some may be enqueued all the same, which does no harm.
        """
        by_executor: dict[str, list[QueueJob]] = {}
        for ring in rings:
            by_executor.setdefault(ring.executor_id, []).append(ring)
        with self.asked():
            for executor_id, theirs in by_executor.items():
                self.queue(executor_id).enqueue_many(
                    [
                        Queue.prepare_data(
                            FUNCTION,
                            args=(str(ring.execution_id),),
                            timeout=-1,
                            result_ttl=0,
                            failure_ttl=-1,
                            job_id=ring.job_id,
                            description=ring.description,
                            at_front=ring.at_front,
                        )
                        for ring in _pushed(theirs)
                    ]
                )

    def waiting(self, executor_id: str, job_ids: Sequence[str]) -> list[bool]:
        """Say of each job whether it still stands in the executor's queue.

        Raises:
            QueueUnavailable: Redis is away.
        """
        if not job_ids:
            return []
        with self.asked():
            key = self.queue(executor_id).key
            pipe = self.connection.pipeline(transaction=False)
            for job_id in job_ids:
                pipe.lpos(key, job_id)
            return [position is not None for position in pipe.execute()]

    def depth(self, executor_id: str) -> int:
        """Return how many jobs wait for the executor.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self.asked():
            return int(self.queue(executor_id).count)


def _pushed(rings: Sequence[QueueJob]) -> list[QueueJob]:
    """Return the order in which to push: what goes to the front one by one ends up the other way round."""
    return [*(ring for ring in rings if not ring.at_front), *(ring for ring in reversed(rings) if ring.at_front)]
