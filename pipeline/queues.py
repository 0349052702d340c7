"""The doorbell: one RQ queue per executor, whose jobs carry an execution's id and nothing else.

Redis may be flushed at any moment: the record knows what is owed, and the keeper rings again. So nothing here is
retried, nothing has a time to live, and no job is unique: a bell rung twice does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import InvalidResponse, RedisError
from redis.retry import Retry
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from pipeline.absences import Absence, Need, absence_of
from pipeline.errors import NotPossible, QueueUnavailable

log = structlog.get_logger(__name__)

#: The one function that a job may name. The worker maps it to the recipe; nothing imports it by this path.
FUNCTION = "tradewire.execute"

#: How a dead letter's job is named, so that a requeue on the dashboard is told from an ordinary repeat.
DEAD_PREFIX = "dead-"

_QUEUE_PREFIX = "executor-"
_OLDEST_SERVER = (6, 2)
_NO_LIST = "tradewire:no-such-list"


@dataclass(frozen=True, kw_only=True)
class Ring:
    """One job to enqueue."""

    execution_id: UUID
    executor_id: str
    job_id: str
    #: What a person reads on the dashboard.
    description: str
    #: Before all that nobody has begun: a worker had it once, and it has waited already.
    at_front: bool = False


@dataclass(frozen=True, kw_only=True)
class DeadJob:
    """A dead letter as RQ shows it. *reason* is our own catalogue's text, never the broker's."""

    execution_id: UUID
    executor_id: str
    number: int
    description: str
    reason: str

    @property
    def job_id(self) -> str:
        """Return the job's id, which names the dead letter."""
        return f"{DEAD_PREFIX}{self.execution_id}-{self.number}"


class ForeignJob(Exception):
    """This job does not call the one function that a job may call; it was refused."""


class ExecutionJob(Job):
    """An RQ job that can call our one function and nothing else: JSON data may name any function on the path."""

    @property
    def func(self) -> Any:
        """Refuse to look a function up: the worker runs the recipe itself."""
        raise ForeignJob(f"job {self.id} may not call {str(self.func_name)[:80]!r}")

    def _execute(self) -> Any:
        raise ForeignJob(f"job {self.id} may only be run by a tradewire worker")

    @property
    def success_callback(self) -> None:
        """Return no callback: a callback is a function on the path too."""

    @property
    def failure_callback(self) -> None:
        """Return no callback."""

    @property
    def stopped_callback(self) -> None:
        """Return no callback."""

    def execution_id(self) -> UUID:
        """Return the id that the job carries.

        Raises:
            ForeignJob: the job is not one of ours.
        """
        try:
            arguments = self.args
            if self.func_name == FUNCTION and len(arguments) == 1 and not self.kwargs:
                return UUID(arguments[0])
        except Exception as error:  # noqa: BLE001 -- whatever foreign bytes do when they are read
            raise ForeignJob(f"job {self.id} cannot be read: {type(error).__name__}") from None
        raise ForeignJob(f"job {self.id} is not a tradewire job")


def text_of(answer: Any) -> str:
    """Return an id as Redis answered it; whatever bytes somebody else put there."""
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def queue_name(executor_id: str) -> str:
    """Return the queue of an executor."""
    return f"{_QUEUE_PREFIX}{executor_id}"


def connect(redis_url: str, *, timeout_s: float = 2.0) -> Redis:
    """Return a connection that does not retry by itself: redis-py would send a whole transaction twice."""
    return Redis.from_url(
        redis_url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


@contextmanager
def mapped() -> Iterator[None]:
    """Turn what redis-py raises into our own error."""
    try:
        yield
    except RedisError as error:
        raise QueueUnavailable(f"Redis: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


def check_server(connection: Redis) -> None:
    """Refuse a server that would lose jobs.

    Raises:
        NotPossible: it is no Redis, too old, a cluster, a replica, or evicts keys.
        QueueUnavailable: it cannot be reached, or takes no writes.
    """
    with mapped():
        try:
            facts = connection.info()
        except InvalidResponse:
            raise NotPossible("what answers at REDIS_URL is not Redis") from None
    version = tuple(int(part) for part in str(facts.get("redis_version", "0")).split(".")[:2])
    if version < _OLDEST_SERVER:
        raise NotPossible(f"Redis {facts.get('redis_version')} is too old: tradewire needs 6.2 or newer")
    if facts.get("redis_mode", "standalone") != "standalone":
        raise NotPossible(f"this Redis runs as a {facts['redis_mode']}: REDIS_URL must name a single server")
    if facts.get("role") != "master":
        raise NotPossible("this Redis is a read-only replica: REDIS_URL must name the primary")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise NotPossible(f"this Redis evicts keys (maxmemory-policy {policy}): set it to noeviction")
    check_writes(connection)


def check_writes(connection: Redis) -> None:
    """Find out whether the server takes writes, by one that changes nothing: a move from a list that is not there.

    Raises:
        QueueUnavailable: it is away, out of memory, a replica, or cannot write to its disk.
    """
    with mapped():
        connection.lmove(_NO_LIST, _NO_LIST)


def queue_absence(connection: Redis) -> Absence:
    """Return what this process knows of the absence of this Redis."""
    place = connection.connection_pool.connection_kwargs
    return absence_of(Need.QUEUE, str([place.get(key) for key in ("host", "port", "path", "db")]))


def _pushed(rings: Sequence[Ring]) -> list[Ring]:
    """Return the order in which to push: what goes to the front one by one ends up the other way round."""
    return [*(ring for ring in rings if not ring.at_front), *(ring for ring in reversed(rings) if ring.at_front)]


class Bell:
    """Rings at the executors' queues, and keeps RQ's view of the dead letters."""

    def __init__(self, connection: Redis) -> None:
        self.connection = connection
        self._absence = queue_absence(connection)
        self._parked: dict[str, set[str]] = {}

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Map errors, and have an absence said once. Reads prove nothing of a Redis that takes no writes."""
        try:
            if self._absence.failing:
                check_writes(self.connection)
            with mapped():
                yield
        except QueueUnavailable as error:
            self._absence.failed(error)
            raise
        self._absence.answered()

    def queue(self, executor_id: str) -> Queue:
        """Return the RQ queue of an executor."""
        return Queue(
            queue_name(executor_id),
            connection=self.connection,
            serializer=JSONSerializer,
            job_class=ExecutionJob,
        )

    def ring(self, rings: Sequence[Ring]) -> None:
        """Enqueue in the order given, one transaction per executor.

        Raises:
            QueueUnavailable: Redis is away; some may be enqueued all the same, which does no harm.
        """
        by_executor: dict[str, list[Ring]] = {}
        for ring in rings:
            by_executor.setdefault(ring.executor_id, []).append(ring)
        with self._asked():
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
        with self._asked():
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
        with self._asked():
            return int(self.queue(executor_id).count)

    def mirror_dead(self, executor_id: str, letters: Sequence[DeadJob]) -> None:
        """Make RQ's FailedJobRegistry of the executor equal to the open dead letters.

        A dead letter whose job was put back on the queue by the dashboard is left to the worker.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self._asked():
            queue = self.queue(executor_id)
            registry = FailedJobRegistry(queue=queue)
            # As bytes: somebody else may have put anything there, and it goes all the same.
            members: Any = self.connection.zrange(registry.key, 0, -1)
            shown: set[bytes] = set(members)
            owed = {letter.job_id.encode(): letter for letter in letters}
            for job_id in shown - owed.keys():
                self.connection.zrem(registry.key, job_id)
                prefixes = (Job.redis_job_namespace_prefix, Result.get_key(""))  # type: ignore[no-untyped-call]
                self.connection.delete(*(prefix.encode() + job_id for prefix in prefixes))
            for job_id in owed.keys() - shown:
                if self.connection.lpos(queue.key, owed[job_id].job_id) is None:
                    self._show_dead(queue, registry, owed[job_id])

    def _show_dead(self, queue: Queue, registry: FailedJobRegistry, letter: DeadJob) -> None:
        job = ExecutionJob.create(
            FUNCTION,
            args=(str(letter.execution_id),),
            connection=self.connection,
            id=letter.job_id,
            timeout=-1,
            result_ttl=0,
            failure_ttl=-1,
            status=JobStatus.FAILED,
            description=letter.description,
            origin=queue.name,
            serializer=JSONSerializer,
        )
        with self.connection.pipeline() as pipe:
            job.save(pipeline=pipe)
            registry.add(job, ttl=-1, exc_string=letter.reason, pipeline=pipe)
            # The registry alone keeps no reason, and without one rq-dashboard offers no Requeue.
            Result.create_failure(job, ttl=-1, exc_string=letter.reason, pipeline=pipe)
            pipe.execute()

    def sweep_traces(self, executor_id: str) -> None:
        """Forget what dead workers left in RQ's lists: the record, not RQ, decides what runs again.

        Raises:
            QueueUnavailable: Redis is away.
        """
        with self._asked():
            queue = self.queue(executor_id)
            started = queue.started_job_registry
            for entry in map(text_of, self.connection.zrangebyscore(started.key, 1, time.time())):
                self.connection.zrem(started.key, entry)
                self.connection.delete(Job.key_for(entry.partition(":")[0]))
            parked = set(map(text_of, self.connection.lrange(queue.intermediate_queue_key, 0, 499)))
            # A job is parked for milliseconds; one that is still there in the next round was a dead worker's.
            for job_id in parked & self._parked.get(executor_id, set()):
                if self.connection.lrem(queue.intermediate_queue_key, 1, job_id) and not job_id.startswith(DEAD_PREFIX):
                    self.connection.delete(Job.key_for(job_id))
            self._parked[executor_id] = parked
