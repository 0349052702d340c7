"""The worker process of one executor: the RQ worker with the execution runner, the leases and the heartbeat."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog

from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.crash_points import reached
from pipeline.model.errors import BrokerUnavailable, BrokerUnreadable, Unavailable
from pipeline.model.reasons import storable
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.jobs import DEAD_PREFIX, ExecutionJob
from pipeline.queues.redis_server import connect
from pipeline.store.processes import QUEUE
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.pinned_account import await_account
from workers.account.runtime import ExecutorRuntime, open_runtime
from workers.execution.exit_lane import ExitLane
from workers.execution.lease import LeaseKeeper
from workers.execution.overdue import OverdueExecutions
from workers.execution.queue_trouble import QueueTrouble
from workers.execution.rq_worker import serve_for_ever
from workers.execution.runner import ExecutionRunner, runner_of

log = structlog.get_logger(__name__)


def work(
    executor: ExecutorSettings,
    *,
    settings: Settings,
    database_url: str,
    redis_url: str,
    exchange_url: str | None,
    stop: threading.Event,
    gate: Callable[[Record], None] = lambda _record: None,
) -> None:
    """Execute the signals that are queued for *executor* until *stop*; the current order is finished first.

    *gate* checks with the record whether this process may start. No job is taken before *gate* has returned and the
    pinned account is verified.

    Raises:
        ConfigInvalid: there is no address or key for the broker, the keys belong to another account, or *gate* raised
        it.
    """
    name = f"{executor.id}-{socket.gethostname()}-{os.getpid()}"
    record = Record(database_url, retry_for_s=None)
    runtime = open_runtime(executor, settings=settings, exchange_url=exchange_url, record=record)
    leases = LeaseKeeper(database_url)
    lane = ExitLane(runtime, leases=leases, worker=name, database_url=database_url)
    verified = threading.Event()
    trouble = QueueTrouble()
    heartbeat = _heartbeat(executor, database_url, verified, trouble)
    threading.Thread(target=_unblock, args=(stop, record), daemon=True).start()
    try:
        recipe = runner_of(runtime, record=record, leases=leases, worker=name)
        overdue = OverdueExecutions(record=record, runner=recipe, trouble=trouble, executor_id=executor.id)
        gate(record)
        if await_account(runtime, stop=stop):
            verified.set()
            _try_keys(runtime)
            lane.start()
            log.info("worker.started", executor_id=executor.id, mode=executor.mode)
        serve_for_ever(
            executor.id,
            connection=connect(redis_url, timeout_s=3.0),
            name=name,
            run=lambda job: _run(job, recipe, record, overdue),
            refuse=lambda job_id, message: _refuse(record, job_id, message),
            overdue=overdue,
            stop=stop,
        )
    except Unavailable as error:
        if not stop.is_set():
            raise
        log.warning("worker.stopped_waiting", error=str(error))
    finally:
        # The lane may be waiting for PostgreSQL. When this process ends by an error, nothing else ends that wait.
        record.stopping.set()
        lane.close()
        heartbeat.close()
        leases.close()
        runtime.close()
        record.close()
    log.info("worker.stopped", executor_id=executor.id)


def _heartbeat(
    executor: ExecutorSettings, database_url: str, verified: threading.Event, trouble: QueueTrouble
) -> Heartbeat:
    """Send this worker's heartbeat; the worker is unhealthy until a pinned account is verified.

    Trouble with the queue is a fact of the heartbeat, and the checks of the queues report it.
    """

    def health() -> tuple[bool, dict[str, Any]]:
        well = verified.is_set() or executor.account is None
        facts = {} if well else {"account": "not verified yet"}
        sentence = trouble.sentence()
        return well, facts | ({QUEUE: sentence} if sentence else {})

    return Heartbeat(database_url, kind="worker", name=executor.id, health=health, executors={executor.id: executor})


def _try_keys(runtime: ExecutorRuntime) -> None:
    """Read the account now, since the keys may have changed before this start.

    An account that the broker refused is tried again too. Without this reading, an exit would use the stored one, which
    may name another account.
    """
    with suppress(BrokerUnavailable, BrokerUnreadable):
        runtime.snapshots.read()


def _unblock(stop: threading.Event, record: Record) -> None:
    """Make a worker that waits for PostgreSQL stop on request."""
    stop.wait()
    record.stopping.set()


def _run(job: ExecutionJob, recipe: ExecutionRunner, record: Record, overdue: OverdueExecutions) -> None:
    """Run one job. RQ never sees a failed job: open work is in the record, and the keeper enqueues it again."""
    execution_id = job.execution_id()
    try:
        if job.id.startswith(DEAD_PREFIX):
            # Only a person's requeue puts a dead letter's job on the queue.
            DeadLetters(record).requeue_from_dashboard(job.id, execution_id)
        if not recipe.run(execution_id):
            # The job ran nothing. Any client of Redis can add such jobs, and ours would wait behind them. So run what
            # waits for too long.
            overdue.run_once()
        reached("worker.after_job")
    except Unavailable as error:
        log.warning("job.left_to_the_keeper", execution_id=str(execution_id), error=str(error))


def _refuse(record: Record, job_id: str, message: str) -> None:
    """Record a job that was not ours as a refusal, so that people see it."""
    row = {
        "refusal_id": uuid4(),
        "source": "redis",
        "source_id": storable(job_id)[:200] or None,
        "code": "foreign_job",
        "message": storable(message)[:1000],
        "payload": "",
        "reads_as_exit": False,
    }
    record.do(sql("signals", "insert_refusal"), row)
