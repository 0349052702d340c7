"""Send an alert while a process of `up` crashes again and again or does not answer, even if that is the keeper."""

import threading
from collections.abc import Callable, Sequence

from config.alerts import Alerts
from pipeline.monitoring.alerts.alert_store import AlertStore, log_changes
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, found, raised
from pipeline.store.record import Record
from workers.keeper.periodic_task import PeriodicTask

_EVERY_S = 2.0


class CrashAlerts:
    """Checks in a thread of its own which processes are unwell. *crashing* and *silent* return their names."""

    def __init__(
        self,
        database_url: str,
        alerts: Alerts,
        *,
        crashing: Callable[[], Sequence[str]],
        silent: Callable[[], Sequence[str]],
    ) -> None:
        self._record = Record(database_url, connections=1, retry_for_s=0.5)
        self._delivery = AlertDelivery(record=self._record, alerts=alerts)
        self._crashing = crashing
        self._silent = silent
        self._store = AlertStore()
        self._stop = stop = threading.Event()
        self._task = PeriodicTask("crash alerts", _EVERY_S, self.run_once, stop=stop, leads=lambda: True, paced=True)

    def start(self) -> None:
        """Start the thread."""
        self._task.start()

    def close(self) -> None:
        """End the thread; wait at most 1 s for a message that is being sent."""
        self._stop.set()
        self._task.join(timeout=1.0)
        self._record.close()

    def run_once(self) -> int:
        """Check once; return how many messages it tried to send.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        result = _found(self._crashing(), self._silent())
        log_changes(self._record.run(lambda connection: self._store.note(connection, [result])))
        return self._delivery.run_once() if result.raised else 0


def _found(crashing: Sequence[str], silent: Sequence[str]) -> ConditionResult:
    kind = AlertKind.PROCESS_CRASHING
    subjects = {name: f"the process {name} runs and does not answer" for name in silent}
    subjects |= {name: f"the process {name} crashes again and again" for name in crashing}
    return found(kind, [raised(kind, name, subject) for name, subject in subjects.items()])
