"""The keeper process: leads by a leased row and runs its rounds, each at its own pace, until it is stopped."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from config.alerts import load_alerts
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
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
from workers.flatten.journal_import import bring_in_all
from workers.keeper.account_controls import account_controls_of
from workers.keeper.alert_tasks import alert_rounds
from workers.keeper.dispatch import Redispatcher
from workers.keeper.equity_monitor import EquityMonitor
from workers.keeper.exit_follow_up import ExitFollowUp
from workers.keeper.failed_registry_sync import FailedRegistrySync
from workers.keeper.leadership import Leadership
from workers.keeper.market_open import MarketOpen
from workers.keeper.order_lookup import OrderLookup
from workers.keeper.order_polling import OrderPolling
from workers.keeper.periodic_task import PeriodicTask

log = structlog.get_logger(__name__)

_LEAD_EVERY_S = 1.0
_SWEEP_EVERY_S = 0.25
_UNKNOWN_EVERY_S = 0.25
_FOLLOW_EVERY_S = 2.0
_OPENING_EVERY_S = 0.5
_MIRROR_EVERY_S = 2.0
_WATCH_EVERY_S = 1.0
_EXITS_EVERY_S = 1.0
_STOPS_EVERY_S = 0.5
_JOURNALS_EVERY_S = 5.0
# Per executor.
_LOOKUPS_AT_ONCE = 4


def keep(
    executors: Mapping[str, ExecutorSettings],
    *,
    settings: Settings,
    database_url: str,
    redis_url: str,
    exchange_url: str | None,
    stop: threading.Event,
) -> None:
    """Look after everything until *stop*.

    Raises:
        ConfigInvalid: an executor has no address or key, or alerts.toml is wrong.
        NotPossible: PostgreSQL or Redis is of a kind that cannot be used.
    """
    alerts = load_alerts(settings)
    who = f"keeper-{socket.gethostname()}-{os.getpid()}"
    record = Record(database_url, connections=4 + 8 * len(executors), retry_for_s=1.0)
    runtimes = open_runtimes(executors, settings=settings, exchange_url=exchange_url, record=record)
    queues = ExecutionQueue(connect(redis_url))
    _refuse_wrong_servers(record, queues)
    leadership = Leadership(record, "keeper")
    pools = {name: ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix=f"look-up {name}") for name in runtimes}
    rounds = [PeriodicTask("lead", _LEAD_EVERY_S, _paced(leadership.renew), stop=stop, leads=lambda: True)]
    intake = Intake(record, executors, by=who)
    for name, every_s, task in _tasks(record, queues, runtimes, pools, intake, who):
        rounds.append(PeriodicTask(name, every_s, task, stop=stop, leads=leadership.leads))
    journals = partial(bring_in_all, record, settings.home, by=who)
    rounds.append(PeriodicTask("journals", _JOURNALS_EVERY_S, journals, stop=stop, leads=leadership.leads))
    # Not among those by which the keeper is well: a channel that hangs is no fault of it.
    telling = alert_rounds(record, executors, alerts, stop=stop, leads=leadership.leads)
    heartbeat = Heartbeat(
        database_url,
        kind="keeper",
        name="keeper",
        health=lambda: _health(rounds, leadership),
        executors=executors,
    )
    for thread in [*rounds, *telling]:
        thread.start()
    log.info("keeper.started", executors=list(executors))
    stop.wait()
    _close(record, leadership, pools.values(), heartbeat, rounds)
    for runtime in runtimes.values():
        runtime.close()


def _tasks(
    record: Record,
    queues: ExecutionQueue,
    runtimes: Mapping[str, ExecutorRuntime],
    pools: Mapping[str, ThreadPoolExecutor],
    intake: Intake,
    who: str,
) -> list[tuple[str, float, Callable[[], int]]]:
    """Return what the leader does: a name, seconds between two rounds, and one round."""
    names = tuple(runtimes)
    sweep = Redispatcher(record=record, queues=queues, executor_ids=names, who=who)
    mirror = FailedRegistrySync(letters=DeadLetters(record), page=FailedRegistry(queues), executor_ids=names)
    theirs: list[tuple[str, float, Callable[[], int]]] = []
    # Each executor has rounds and threads of its own: a broker that hangs must not delay the others' orders.
    for name, runtime in runtimes.items():
        unknowns = OrderLookup(record=record, queues=queues, runtimes={name: runtime}, pool=pools[name], who=who)
        follower = OrderPolling(record=record, runtime=runtime, who=who)
        theirs.append((f"unknown {name}", _UNKNOWN_EVERY_S, unknowns.run_once))
        theirs.append((f"follow {name}", _FOLLOW_EVERY_S, _paced(follower.run_once)))
        theirs.append((f"opening {name}", _OPENING_EVERY_S, _paced(MarketOpen(record, runtime).run_once)))
        watch = EquityMonitor(record=record, runtime=runtime, who=who)
        theirs.append((f"watch {name}", _WATCH_EVERY_S, _paced(watch.run_once)))
        exits = ExitFollowUp(
            record=record, intake=intake, runtime=runtime, market_is_open=partial(seems_open, record, runtime.snapshots)
        )
        theirs.append((f"exits {name}", _EXITS_EVERY_S, _paced(exits.run_once)))
        stops = account_controls_of(record, intake, runtime, who=who)
        theirs.append((f"stops {name}", _STOPS_EVERY_S, _paced(stops.run_once)))
    return [
        ("sweep", _SWEEP_EVERY_S, sweep.run_once),
        ("mirror", _MIRROR_EVERY_S, _paced(mirror.run_once)),
        *theirs,
    ]


def _refuse_wrong_servers(record: Record, queues: ExecutionQueue) -> None:
    """Look once; what is only away is waited for later."""
    with suppress(RecordUnavailable):
        record.run(lambda _: None, retry_for_s=0.0)
    with suppress(QueueUnavailable):
        check_server(queues.connection)


def _paced(task: Callable[[], int]) -> Callable[[], int]:
    # A poll that moved something has no more to say at once: the broker's rate is not ours to burn.
    return lambda: 0 * task()


def _health(rounds: list[PeriodicTask], leadership: Leadership) -> tuple[bool, dict[str, Any]]:
    """Unwell when a round of the leader has not come to its end for long."""
    now = time.monotonic()
    late = {
        thread.name: round(now - thread.last_good_at, 1)
        for thread in rounds
        if thread.last_good_at is not None and now - thread.last_good_at > 15  # noqa: PLR2004 -- several paces
    }
    slowest = max(rounds, key=lambda thread: thread.behind_s(now))
    lag = {"slowest": slowest.name, "behind_s": round(slowest.behind_s(now), 1)}
    return not (late and leadership.leads()), {"leads": leadership.leads(), "late": late, **lag}


def _close(
    record: Record,
    leadership: Leadership,
    pools: Iterable[ThreadPoolExecutor],
    heartbeat: Heartbeat,
    rounds: list[PeriodicTask],
) -> None:
    try:
        leadership.resign()
    except Unavailable:
        log.debug("keeper.resigned_by_lease")
    record.stopping.set()
    for thread in rounds:
        thread.join(timeout=1.0)
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)
    heartbeat.close()
    record.close()
    log.info("keeper.stopped")
