"""What the leading keeper does about alerts: looks, tells, and says to the outside that it watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import SecretStr

from config.alerts import Alerts
from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.equity import baseline_of, baseline_row
from pipeline.accounts.losses import RUNGS, Use, uses
from pipeline.monitoring.alerts.channels import ping
from pipeline.monitoring.alerts.conditions import conditions
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.kinds import AlertKind, Look, Raised, Severity
from pipeline.monitoring.alerts.monitor import AlertMonitor
from pipeline.store.record import Record
from workers.keeper.periodic_task import PeriodicTask

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 3.0
_TELL_EVERY_S = 1.0
_PING_EVERY_S = 60.0


def alert_rounds(
    record: Record,
    executors: Mapping[str, ExecutorSettings],
    alerts: Alerts,
    *,
    stop: threading.Event,
    leads: Callable[[], bool],
) -> list[PeriodicTask]:
    """Return the rounds, not started. Each has a thread: a channel that hangs delays nothing else."""
    looks = [limits, *conditions(alerts.settings.execution_rate)]
    watching = AlertMonitor(record=record, executors=executors, looks=looks)
    delivery = AlertDelivery(record=record, alerts=alerts)
    rounds = [
        PeriodicTask("alerts", _LOOK_EVERY_S, lambda: 0 * watching.run_once(), stop=stop, leads=leads),
        PeriodicTask("telling", _TELL_EVERY_S, delivery.run_once, stop=stop, leads=leads),
    ]
    if alerts.deadman is not None:
        deadman = Deadman(record, alerts.deadman)
        rounds.append(PeriodicTask("deadman", _PING_EVERY_S, deadman.run_once, stop=stop, leads=leads))
    return rounds


def limits(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> Look:
    """Look how far up the ladder the loss limits are: an alert per rung."""
    raised = []
    for name, executor in executors.items():
        figures = baseline_of(baseline_row(connection, account_key_of(connection, name)))
        for use in uses(executor, figures) if figures is not None else ():
            reached = [at for at, _ in RUNGS if use.lost > 0 and use.lost * 100 >= use.allowed * at]
            raised += [_limit(name, use, at) for at in reached]
    return Look(kinds=frozenset({AlertKind.LIMIT}), raised=tuple(raised))


def _limit(name: str, use: Use, at: int) -> Raised:
    return Raised(
        key=f"{AlertKind.LIMIT}:{name}:{use.limit}:{at}",
        kind=AlertKind.LIMIT,
        severity=Severity.CRITICAL if at == max(RUNGS)[0] else Severity.WARNING,
        subject=f"{name} has used {at} % or more of its {use.limit.replace('_', ' ')} limit",
        facts={"executor": name, "limit": use.limit, "percent": at, "lost": use.lost, "allowed": use.allowed},
    )


class Deadman:
    """Asks for an outside address while this keeper leads and the record answers."""

    def __init__(self, record: Record, address: SecretStr) -> None:
        self._record = record
        self._address = address

    def run_once(self) -> int:
        """Ping once; never more to do at once.

        Raises:
            RecordUnavailable: PostgreSQL is away, and nothing was said to the outside.
        """
        self._record.run(lambda _: None)
        if not ping(self._address):
            # Not the address: it is a secret.
            log.warning("deadman.not_reached")
        return 0
