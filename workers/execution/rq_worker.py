"""An RQ worker with a loop of its own: one process, one queue, no fork per job, and only our jobs.

It uses RQ's own classes and keys, so that rq-dashboard and `rq info` show it, its jobs and its state. RQ's own loop
would end when Redis is away or a job is malformed, and would run the function that a job names.
"""

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

from pipeline.model.backoff import Backoff
from pipeline.model.crash_points import reached
from pipeline.model.errors import NotPossible, QueueBroken, QueueRefused, QueueUnavailable
from pipeline.queues.jobs import ExecutionJob, ForeignJob, text_of
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import check_server, failure_of, queue_outage
from workers.execution.overdue import OverdueExecutions

log = structlog.get_logger(__name__)

# The longest wait for a job, in seconds: short, so that the worker soon reacts to SIGTERM and to a Redis that hangs.
_POP_S = 1
_HEARTBEAT_EVERY_S = 5.0
_BACKOFF = Backoff(first_s=0.2, longest_s=2.0)
#: RQ's key of a worker expires a minute and this time (in seconds) after the worker's last heartbeat.
_WORKER_TTL_S = 60


class NoDeathPenalty(BaseDeathPenalty):
    """No time limit for a job: every network call has its own timeout, and the lease guards the rest."""

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
        overdue: OverdueExecutions,
        stop: threading.Event,
    ) -> None:
        self._queues = ExecutionQueue(connection)
        self._overdue = overdue
        self._refuse = refuse
        self._stop_asked = stop
        self._beat_at = 0.0

        class BoundJob(ExecutionJob):
            """A job that can only run this worker's own function."""

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
        """Work until asked to stop; the current job is finished first. Raises RedisError when Redis goes away."""
        self._register()
        try:
            while not self._stop_asked.is_set():
                self._send_heartbeat()
                popped = None if is_suspended(self.connection) else self._pop()
                # Only now: a Redis user may lack the right to this one command.
                queue_outage(self.connection).record_success()
                self._overdue.trouble.record_read(job=popped is not None)
                if popped is not None:
                    reached("worker.after_pop")
                    self._perform(popped, text_of(popped))
                elif is_suspended(self.connection):
                    self._stop_asked.wait(_POP_S)
                else:
                    # Another client may have taken the jobs out of the queue.
                    self._overdue.run_once()
        finally:
            self._unregister()

    def _pop(self) -> bytes | None:
        """Move the next job to RQ's intermediate list, where it stays visible if this worker dies."""
        parked = self._queue.intermediate_queue_key
        popped: Any = self.connection.blmove(self._queue.key, parked, _POP_S, "LEFT", "RIGHT")
        return cast("bytes | None", popped)

    def _perform(self, popped: bytes, job_id: str) -> None:
        """Run one job with RQ's bookkeeping. Drop an id without a job. Record a job that is not ours as a refusal."""
        try:
            job = cast("ExecutionJob", self._bound.fetch(job_id, connection=self.connection, serializer=JSONSerializer))
            job.execution_id()
        except NoSuchJobError:
            self._unpark(popped)
            # Many ids without a job would delay ours for too long, so run what is overdue.
            self._overdue.run_once()
            return
        except ForeignJob as error:
            self._throw_away(popped, job_id, str(error))
            return
        except Exception as error:
            if isinstance(error, RedisError) and not isinstance(failure_of(error), QueueBroken):
                raise
            self._throw_away(popped, job_id, f"job {job_id[:80]} cannot be read: {type(error).__name__}")
            return
        self.perform_job(job, self._queue, self.prepare_execution(job))
        if not self.connection.llen(self._queue.key):
            self.set_state(WorkerStatus.IDLE)

    def _unpark(self, popped: bytes) -> None:
        # The type stubs want text, but an id may be any bytes.
        self.connection.lrem(self._queue.intermediate_queue_key, 1, cast("str", popped))

    def _throw_away(self, popped: bytes, job_id: str, message: str) -> None:
        self._unpark(popped)
        self.connection.delete(ExecutionJob.key_for(job_id))
        log.error("job.refused", queue=self._queue.name, message=message)
        self._refuse(job_id, message)
        self._overdue.run_once()

    def _register(self) -> None:
        self.connection.delete(self.key)
        self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.IDLE)
        self._beat_at = time.monotonic()

    def _send_heartbeat(self) -> None:
        """Send RQ's heartbeat, and register again when Redis was emptied, so that tools still show this worker."""
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
            return  # Its key expires by itself.


def serve_for_ever(
    executor_id: str,
    *,
    connection: Redis,
    name: str,
    run: Callable[[ExecutionJob], None],
    refuse: Callable[[str, str], None],
    overdue: OverdueExecutions,
    stop: threading.Event,
) -> None:
    """Work until *stop*. While Redis is away, wait with growing pauses; the outage is reported once.

    *overdue* runs the executions that waited too long. It is called when the queue brings no job for a second, while
    Redis answers but the queue cannot be read, and after each id in the queue that is not a job of ours.

    Raises:
        NotPossible: the first server that answered fails `check_server`. Later, such a server counts as an outage.
    """
    outage = queue_outage(connection)
    failures, accepted = 0, False
    while not stop.is_set():
        began = time.monotonic()
        try:
            # Check each time: the server that comes back may be another one.
            check_server(connection)
            accepted = True
            worker = ExecutorWorker(
                executor_id, connection=connection, name=name, run=run, refuse=refuse, overdue=overdue, stop=stop
            )
            worker.serve()
        except (RedisError, QueueUnavailable, NotPossible) as error:
            if isinstance(error, NotPossible) and not accepted:
                raise
            failure = failure_of(error) if isinstance(error, RedisError) else error
            outage.record_failure(failure)
            overdue.trouble.record_failure(failure)
            # Redis answers, but its queue is unusable, and that may last for ever.
            if isinstance(failure, (QueueRefused, NotPossible)):
                overdue.run_once()
            failures = 1 if time.monotonic() - began > _BACKOFF.longest_s else failures + 1
            stop.wait(_BACKOFF.after(failures) * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret
