"""The keeper process: while it holds the lease on leadership, it runs its tasks, each at its own interval."""

import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from config.alerts import load_alerts
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.accounts.books.settle import settle
from pipeline.intake.intake import Intake
from pipeline.model.errors import QueueUnavailable, RecordUnavailable, Unavailable
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.failed_registry import FailedRegistry
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import check_server, connect
from pipeline.store.record import Record
from workers.account.calendar import seems_open
from workers.account.runtime import ExecutorRuntime, open_runtimes
from workers.flatten.journal_import import import_journals
from workers.keeper.account_controls import account_controls_of
from workers.keeper.alert_tasks import alert_tasks
from workers.keeper.dispatch import Redispatcher
from workers.keeper.equity_monitor import EquityMonitor
from workers.keeper.exit_follow_up import ExitFollowUp
from workers.keeper.failed_registry_sync import FailedRegistrySync
from workers.keeper.fill_sync import FillSync
from workers.keeper.leadership import Leadership
from workers.keeper.market_open import MarketOpen
from workers.keeper.order_lookup import OrderLookup
from workers.keeper.order_polling import OrderPolling
from workers.keeper.periodic_task import PeriodicTask
from workers.keeper.poll_trigger import PollTrigger
from workers.keeper.protection import Protection
from workers.keeper.reconcile_task import ReconcileTask
from workers.keeper.reconciliation import Reconciliation
from workers.keeper.restored_stops import RestoredStops
from workers.keeper.task_watch import TaskWatch

log = structlog.get_logger(__name__)

_LEAD_EVERY_S = 1.0
_SWEEP_EVERY_S = 0.25
_UNKNOWN_EVERY_S = 0.25
# A poll that the tracker asks for begins within this time. Other polls are further apart (`PollTrigger`).
_FOLLOW_EVERY_S = 0.5
# Reconciles are further apart (`ReconcileTask`); the first begins within this time.
_RECONCILE_EVERY_S = 0.25
_FILLS_EVERY_S = 1.0
_OPENING_EVERY_S = 0.5
_MIRROR_EVERY_S = 2.0
_WATCH_EVERY_S = 1.0
_EXITS_EVERY_S = 1.0
_STOPS_EVERY_S = 0.5
_PROTECTION_EVERY_S = 0.5
_JOURNALS_EVERY_S = 5.0
_BOOKS_EVERY_S = 1.0
# A task is late if its next run is overdue by more than this.
_LATE_AFTER_S = 15.0
# The most symbols of one run: after a migration, the fills of all years are new.
_BOOKS_AT_ONCE = 50
# The most look-ups of one executor that run at the same time.
_LOOKUPS_AT_ONCE = 4
#: The tasks of one executor. Each may hold a connection to PostgreSQL while it waits for a lock.
TASKS_PER_EXECUTOR = 10


def keep(
    executors: Mapping[str, ExecutorSettings],
    *,
    settings: Settings,
    database_url: str,
    redis_url: str,
    exchange_url: str | None,
    stop: threading.Event,
) -> None:
    """Run the keeper until *stop* is set.

    Raises:
        ConfigInvalid: an executor has no address or key, or alerts.toml is wrong.
        NotPossible: PostgreSQL is too old, or Redis fails `check_server`.
    """
    alerts = load_alerts(settings)
    who = f"keeper-{socket.gethostname()}-{os.getpid()}"
    record = Record(database_url, connections=6 + TASKS_PER_EXECUTOR * len(executors), retry_for_s=1.0)
    runtimes = open_runtimes(executors, settings=settings, exchange_url=exchange_url, record=record)
    queues = ExecutionQueue(connect(redis_url))
    _refuse_wrong_servers(record, queues)
    leadership = Leadership(record, "keeper")
    pools = {name: ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix=f"look-up {name}") for name in runtimes}
    task = partial(PeriodicTask, stop=stop, leads=leadership.leads)
    intake = Intake(record, executors, by=who)
    tasks = [
        PeriodicTask("lead", _LEAD_EVERY_S, leadership.renew, stop=stop, leads=lambda: True, paced=True),
        *_shared_tasks(task, record, queues, tuple(runtimes), who),
        *_executor_tasks(task, record, runtimes, pools, intake, who),
        task("journals", _JOURNALS_EVERY_S, partial(import_journals, record, settings.home, by=who)),
    ]
    watched = TaskWatch(tasks=tasks, runtimes=runtimes)
    # These tasks do not count for the keeper's health: a channel or a receiver that hangs is no fault of the keeper.
    alerting = alert_tasks(record, executors, alerts, queues=queues, stop=stop, leads=leadership.leads, watched=watched)
    heartbeat = Heartbeat(
        database_url, kind="keeper", name="keeper", health=lambda: _health(tasks, leadership), executors=executors
    )
    for thread in [*tasks, *alerting]:
        thread.start()
    log.info("keeper.started", executors=list(executors))
    stop.wait()
    _close(record, leadership, pools.values(), heartbeat, tasks)
    for runtime in runtimes.values():
        runtime.close()


def _shared_tasks(
    task: partial[PeriodicTask], record: Record, queues: ExecutionQueue, names: tuple[str, ...], who: str
) -> list[PeriodicTask]:
    """Return the tasks that serve all executors."""
    dispatch = Redispatcher(record=record, queues=queues, executor_ids=names, who=who)
    registry = FailedRegistrySync(dead_letters=DeadLetters(record), page=FailedRegistry(queues), executor_ids=names)
    return [
        task("sweep", _SWEEP_EVERY_S, dispatch.run_once),
        task("mirror", _MIRROR_EVERY_S, registry.run_once, paced=True),
        task("books", _BOOKS_EVERY_S, partial(settle, record, limit=_BOOKS_AT_ONCE), paced=True),
    ]


def _executor_tasks(
    task: partial[PeriodicTask],
    record: Record,
    runtimes: Mapping[str, ExecutorRuntime],
    pools: Mapping[str, ThreadPoolExecutor],
    intake: Intake,
    who: str,
) -> Iterator[PeriodicTask]:
    """Yield each executor's tasks. Each has its own thread, so that a broker that hangs delays no other executor."""
    for name, runtime in runtimes.items():
        lookup = OrderLookup(record=record, runtimes={name: runtime}, pool=pools[name], who=who)
        polling = PollTrigger(polling=OrderPolling(record=record, runtime=runtime, who=who))
        equity = EquityMonitor(record=record, runtime=runtime, who=who)
        is_open = partial(seems_open, record, runtime.snapshots)
        exits = ExitFollowUp(record=record, intake=intake, runtime=runtime, market_is_open=is_open)
        controls = account_controls_of(record, intake, runtime, who=who)
        yield task(f"unknown {name}", _UNKNOWN_EVERY_S, lookup.run_once)
        # The tasks below are paced: a run that did something is not repeated at once, which would cost more requests.
        yield task(f"follow {name}", _FOLLOW_EVERY_S, polling.run_once, paced=True)
        fills = FillSync(record=record, runtime=runtime)
        if not runtime.broker.lists_fills:
            log.warning("fills.not_listed", executor_id=name)
        yield task(f"fills {name}", _FILLS_EVERY_S, fills.run_once, paced=True)
        reconcile = ReconcileTask(reconciliation=Reconciliation(record=record, runtime=runtime, who=who))
        yield task(f"reconcile {name}", _RECONCILE_EVERY_S, reconcile.run_once, paced=True)
        yield task(f"opening {name}", _OPENING_EVERY_S, MarketOpen(record, runtime).run_once, paced=True)
        yield task(f"watch {name}", _WATCH_EVERY_S, equity.run_once, paced=True)
        yield task(f"exits {name}", _EXITS_EVERY_S, exits.run_once, paced=True)
        restored = RestoredStops(record=record, runtime=runtime)
        yield task(f"restored {name}", _EXITS_EVERY_S, restored.run_once, paced=True)
        protection = Protection(record=record, intake=intake, runtime=runtime)
        yield task(f"protection {name}", _PROTECTION_EVERY_S, protection.run_once, paced=True)
        yield task(f"stops {name}", _STOPS_EVERY_S, controls.run_once, paced=True)


def _refuse_wrong_servers(record: Record, queues: ExecutionQueue) -> None:
    """Raise NotPossible if a server cannot be used. A server that is away is not checked: the tasks wait for it."""
    with suppress(RecordUnavailable):
        record.run(lambda _: None, retry_for_s=0.0)
    with suppress(QueueUnavailable):
        check_server(queues.connection)


def _health(tasks: Sequence[PeriodicTask], leadership: Leadership) -> tuple[bool, dict[str, Any]]:
    """Return whether the keeper is healthy, with figures. A leader with a late task is unhealthy."""
    now = time.monotonic()
    late = {task.name: round(task.behind_s(now), 1) for task in tasks if task.behind_s(now) > _LATE_AFTER_S}
    slowest = max(tasks, key=lambda task: task.behind_s(now))
    lag = {"slowest": slowest.name, "behind_s": round(slowest.behind_s(now), 1)}
    failing = {task.name: task.failure.__name__ for task in tasks if task.failure is not None}
    return not (late and leadership.leads()), {"leads": leadership.leads(), "late": late, "failing": failing, **lag}


def _close(
    record: Record,
    leadership: Leadership,
    pools: Iterable[ThreadPoolExecutor],
    heartbeat: Heartbeat,
    tasks: Sequence[PeriodicTask],
) -> None:
    try:
        leadership.resign()
    except Unavailable:
        log.debug("keeper.resigned_by_lease")
    record.stopping.set()
    for task in tasks:
        task.join(timeout=1.0)
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)
    heartbeat.close()
    record.close()
    log.info("keeper.stopped")
