"""The tasks of the leading keeper that tell others: alerts, messages, events, and the dead man's switch."""

import threading
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import SecretStr

from config.alerts import Alerts
from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.equity import equity_baseline
from pipeline.accounts.losses import LIMIT_STEPS, Use, uses
from pipeline.monitoring.alerts.channels import ping
from pipeline.monitoring.alerts.conditions import conditions
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.event_conditions import undelivered_events
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, Severity
from pipeline.monitoring.alerts.monitor import AlertMonitor
from pipeline.monitoring.alerts.order_messages import OrderDelivery
from pipeline.operations.event_feed import publish
from pipeline.queues.queue import ExecutionQueue
from pipeline.store.record import Record
from workers.keeper.event_delivery import EventDelivery
from workers.keeper.event_post import EventPost
from workers.keeper.periodic_task import PeriodicTask
from workers.keeper.queue_watch import QueueWatch
from workers.keeper.task_watch import TaskWatch

log = structlog.get_logger(__name__)

_CHECK_EVERY_S = 3.0
_DELIVER_EVERY_S = 1.0
_PING_EVERY_S = 60.0
_EVENTS_EVERY_S = 0.25


def alert_tasks(
    record: Record,
    executors: Mapping[str, ExecutorSettings],
    alerts: Alerts,
    *,
    queues: ExecutionQueue,
    stop: threading.Event,
    leads: Callable[[], bool],
    watched: TaskWatch,
) -> list[PeriodicTask]:
    """Return the tasks, not started. Each has its own thread, so that a slow channel delays no other task."""
    task = partial(PeriodicTask, stop=stop, leads=leads)
    watch = QueueWatch(record=record, queues=queues, executor_ids=tuple(executors))
    url, secret = alerts.settings.events.url, alerts.events_secret
    undelivered = undelivered_events(has_receiver=url is not None)
    rate = alerts.settings.execution_rate
    checked = [limits, *conditions(rate), watch.condition, watched.condition, undelivered]
    monitor = AlertMonitor(record=record, executors=executors, conditions=checked)
    delivery = AlertDelivery(record=record, alerts=alerts)
    tasks = [
        task("alerts", _CHECK_EVERY_S, monitor.run_once, paced=True),
        task("queues", _CHECK_EVERY_S, watch.run_once),
        task("telling", _DELIVER_EVERY_S, delivery.run_once),
        task("events", _EVENTS_EVERY_S, partial(publish, record)),
    ]
    if url is not None and secret is not None:
        events = EventDelivery(record=record, post=EventPost(url=url, secret=secret))
        tasks.append(task("event delivery", _EVENTS_EVERY_S, events.run_once))
    if alerts.settings.fills != "off":
        hours = {name: executor.hours for name, executor in executors.items()}
        orders = OrderDelivery(record=record, alerts=alerts, hours=hours)
        tasks.append(task("telling orders", _DELIVER_EVERY_S, orders.run_once))
    if alerts.deadman is not None:
        tasks.append(task("deadman", _PING_EVERY_S, partial(ping_deadman, record, alerts.deadman)))
    return tasks


def limits(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Return an alert for each step of a loss limit (70, 90 and 100 %) that the loss of an account has reached."""
    raised = []
    for name, executor in executors.items():
        baseline = equity_baseline(connection, account_key_of(connection, name))
        for use in uses(executor, baseline) if baseline is not None else ():
            reached = [at for at, _ in LIMIT_STEPS if use.lost > 0 and use.lost * 100 >= use.allowed * at]
            raised += [_limit(name, use, at) for at in reached]
    return ConditionResult(kinds=frozenset({AlertKind.LIMIT}), raised=tuple(raised))


def _limit(name: str, use: Use, at: int) -> Raised:
    return Raised(
        key=f"{AlertKind.LIMIT}:{name}:{use.limit}:{at}",
        kind=AlertKind.LIMIT,
        severity=Severity.CRITICAL if at == max(LIMIT_STEPS)[0] else Severity.WARNING,
        subject=f"{name} has used {at} % or more of its {use.limit.replace('_', ' ')} limit",
        facts={"executor": name, "limit": use.limit, "percent": at, "lost": use.lost, "allowed": use.allowed},
    )


def ping_deadman(record: Record, address: SecretStr) -> None:
    """Ping an outside address, which alerts when the pings stop.

    Raises:
        RecordUnavailable: PostgreSQL is away, and no ping was sent.
    """
    # A keeper without PostgreSQL does nothing for the accounts, so it must not look alive.
    record.run(lambda _: None)
    if not ping(address):
        # The address is a secret, so it is not logged.
        log.warning("deadman.not_reached")
