"""An RQ worker that stays: one process, one queue, no fork per job, and no job but ours.

It is built on RQ's own classes and keys, so that rq-dashboard and `rq info` see it, its jobs and its state. Its loop
is its own: RQ's would quit on a Redis that is away, on a poisoned job, and would listen to what a job names.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker, worker_registration
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.timeouts import BaseDeathPenalty
from rq.worker import WorkerStatus

from pipeline.model.crash_points import reached
from pipeline.model.errors import NotPossible, QueueUnavailable
from pipeline.queues.jobs import ExecutionJob, ForeignJob, text_of
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import check_server, queue_outage

log = structlog.get_logger(__name__)

# One blocking pop: short, so that a SIGTERM is heard soon and a hung Redis is noticed.
_POP_S = 1
_HEARTBEAT_EVERY_S = 5.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
#: RQ's own mark of a living worker lasts this and a minute more.
_WORKER_TTL_S = 60


class NoDeathPenalty(BaseDeathPenalty):
    """No timeout from outside: every network call has its own, and the lease guards the rest."""

    def __enter__(self) -> None:
        """Start nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel nothing."""


class ExecutorWorker(SimpleWorker):
    """Runs the jobs of one executor's queue, one after the other."""

    death_penalty_class = NoDeathPenalty
    log_job_description = False
    log_result_lifespan = False

    def __init__(
        self,
        executor_id: str,
        *,
        connection: Redis,
        name: str,
        run: Callable[[ExecutionJob], None],
        refuse: Callable[[str, str], None],
        stop: threading.Event,
    ) -> None:
        self._queues = ExecutionQueue(connection)
        self._refuse = refuse
        self._stop_asked = stop
        self._beat_at = 0.0

        class BoundJob(ExecutionJob):
            """A job that can only do what this worker was made for."""

            def _execute(self) -> Any:
                run(self)

        self._bound = BoundJob
        queue = self._queues.queue(executor_id)
        queue.job_class = BoundJob
        super().__init__(
            [queue],
            name=name,
            connection=connection,
            job_class=BoundJob,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_S,
            default_result_ttl=0,
            prepare_for_work=True,
        )
        self._queue = queue
        self.log.setLevel("WARNING")

    def _set_connection(self, connection: Redis) -> Redis:
        """Keep the connection's own short timeouts: RQ would raise them to minutes."""
        return connection

    def serve(self) -> None:
        """Work until asked to stop; a job in hand is finished first. Raises RedisError when Redis goes away."""
        self._register()
        queue_outage(self.connection).record_success()
        try:
            while not self._stop_asked.is_set():
                self._show_life()
                popped = None if is_suspended(self.connection) else self._pop()
                if popped is not None:
                    reached("worker.after_pop")
                    self._perform(popped, text_of(popped))
                elif is_suspended(self.connection):
                    self._stop_asked.wait(_POP_S)
        finally:
            self._unregister()

    def _pop(self) -> bytes | None:
        """Move the next job to RQ's intermediate list: a job popped by a worker that dies stays visible there."""
        parked = self._queue.intermediate_queue_key
        popped: Any = self.connection.blmove(self._queue.key, parked, _POP_S, "LEFT", "RIGHT")
        return cast("bytes | None", popped)

    def _perform(self, popped: bytes, job_id: str) -> None:
        """Run one job with RQ's bookkeeping; whatever is not ours is refused and reported, and kills nobody."""
        try:
            job = cast("ExecutionJob", self._bound.fetch(job_id, connection=self.connection, serializer=JSONSerializer))
            job.execution_id()
        except NoSuchJobError:
            self._unpark(popped)
            return
        except ForeignJob as error:
            self._throw_away(popped, job_id, str(error))
            return
        except Exception as error:
            if isinstance(error, RedisError) and not str(error).startswith("WRONGTYPE"):
                raise
            self._throw_away(popped, job_id, f"job {job_id[:80]} cannot be read: {type(error).__name__}")
            return
        self.perform_job(job, self._queue, self.prepare_execution(job))
        if not self.connection.llen(self._queue.key):
            self.set_state(WorkerStatus.IDLE)

    def _unpark(self, popped: bytes) -> None:
        # The stubs ask for text; an id is whatever bytes somebody pushed.
        self.connection.lrem(self._queue.intermediate_queue_key, 1, cast("str", popped))

    def _throw_away(self, popped: bytes, job_id: str, message: str) -> None:
        self._unpark(popped)
        self.connection.delete(ExecutionJob.key_for(job_id))
        log.error("job.refused", queue=self._queue.name, message=message)
        self._refuse(job_id, message)

    def _register(self) -> None:
        self.connection.delete(self.key)
        self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.IDLE)
        self._beat_at = time.monotonic()

    def _show_life(self) -> None:
        """Beat RQ's heart; after Redis was emptied, register anew, or nobody would see this worker again."""
        if time.monotonic() - self._beat_at < _HEARTBEAT_EVERY_S:
            return
        if not self.connection.hexists(self.key, "birth"):
            self._register()
            log.info("worker.registered_again", worker=self.name)
        with self.connection.pipeline() as pipe:
            worker_registration.register(self, pipe)
            pipe.execute()
        self.heartbeat()
        self._beat_at = time.monotonic()

    def _unregister(self) -> None:
        try:
            self.register_death()  # type: ignore[no-untyped-call]
        except RedisError:
            return  # Its mark runs out by itself.


def serve_for_ever(
    executor_id: str,
    *,
    connection: Redis,
    name: str,
    run: Callable[[ExecutionJob], None],
    refuse: Callable[[str, str], None],
    stop: threading.Event,
) -> None:
    """Work until *stop*, through every absence of Redis: said once, waited out with back-off and jitter.

    Raises:
        NotPossible: this server would lose jobs: too old, a replica, or one that evicts keys.
    """
    outage = queue_outage(connection)
    pause, accepted = _FIRST_PAUSE_S, False
    while not stop.is_set():
        began = time.monotonic()
        try:
            # Each time: who came back need not be who went away.
            check_server(connection)
            accepted = True
            ExecutorWorker(executor_id, connection=connection, name=name, run=run, refuse=refuse, stop=stop).serve()
        except (RedisError, QueueUnavailable, NotPossible) as error:
            if isinstance(error, NotPossible) and not accepted:
                raise
            outage.record_failure(str(error).splitlines()[0])
            if time.monotonic() - began > _LONGEST_PAUSE_S:
                pause = _FIRST_PAUSE_S
            stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret
            pause = min(pause * 2, _LONGEST_PAUSE_S)
