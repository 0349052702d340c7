"""Send an alert when no keeper runs. The keeper sends all other alerts, so the web process sends this one."""

import threading

from config.alerts import Alerts
from pipeline.monitoring.alerts.alert_store import AlertStore
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.kinds import AlertKind
from pipeline.monitoring.alerts.monitor import check_keeper
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.keeper.periodic_task import PeriodicTask

_EVERY_S = 2.0


class KeeperWatch:
    """Checks for a keeper in a thread of its own, until closed. While no keeper leads, it delivers the alerts."""

    def __init__(self, database_url: str, alerts: Alerts, *, store: AlertStore | None = None) -> None:
        self._record = Record(database_url, connections=1, retry_for_s=0.5)
        self._store = store or AlertStore()
        self._delivery = AlertDelivery(record=self._record, alerts=alerts)
        self._stop = threading.Event()
        self._task = PeriodicTask("keeper watch", _EVERY_S, self.run_once, stop=self._stop, leads=lambda: True)

    def start(self) -> None:
        """Start the thread."""
        self._task.start()

    def run_once(self) -> int:
        """Check once, and try to deliver one message when no keeper runs; return how many were tried.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        check_keeper(self._record, self._store)
        key = {"kinds": [AlertKind.KEEPER_DOWN.value]}
        down = self._record.run(lambda connection: connection.execute(sql("alerts", "open_keys"), key).fetchone())
        return 0 if down is None else self._delivery.run_once()

    def close(self) -> None:
        """End without waiting for a message that is being sent."""
        self._stop.set()
        self._task.join(timeout=1.0)
        self._record.close()
