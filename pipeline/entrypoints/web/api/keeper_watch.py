"""Send the alerts that the keeper cannot send: that no keeper runs, and that PostgreSQL is away."""

import threading

from config.alerts import Alerts
from pipeline.model.errors import RecordUnavailable
from pipeline.monitoring.alerts.alert_store import AlertStore
from pipeline.monitoring.alerts.delivery import AlertDelivery
from pipeline.monitoring.alerts.kinds import AlertKind
from pipeline.monitoring.alerts.monitor import check_keeper
from pipeline.monitoring.alerts.record_watch import RecordWatch
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.keeper.periodic_task import PeriodicTask

_EVERY_S = 2.0


class KeeperWatch:
    """Checks for a keeper in a thread of its own, until closed. While no keeper leads, it delivers the alerts."""

    def __init__(self, database_url: str, alerts: Alerts, *, record_watch: RecordWatch | None = None) -> None:
        self._record = Record(database_url, connections=1, retry_for_s=0.5)
        self._store = AlertStore()
        self._record_watch = record_watch or RecordWatch(alerts)
        self._delivery = AlertDelivery(record=self._record, alerts=alerts)
        self._stop = threading.Event()
        self._task = PeriodicTask("keeper watch", _EVERY_S, self.run_once, stop=self._stop, leads=lambda: True)

    def start(self) -> None:
        """Start the thread."""
        self._task.start()

    def run_once(self) -> int:
        """Check once, and try to deliver one message when no keeper leads; return how many messages it tried to send.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        try:
            check_keeper(self._record, self._store, self._record_watch.condition())
        except RecordUnavailable as error:
            self._record_watch.note_away(str(error))
            raise
        self._record_watch.note_back()
        key = {"kinds": [AlertKind.KEEPER_DOWN.value]}
        down = self._record.run(lambda connection: connection.execute(sql("alerts", "open_keys"), key).fetchone())
        return 0 if down is None else self._delivery.run_once()

    def close(self) -> None:
        """End the thread; wait at most 1 s for a message that is being sent."""
        self._stop.set()
        if self._task.is_alive():
            self._task.join(timeout=1.0)
        self._record.close()
