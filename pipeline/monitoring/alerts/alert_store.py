"""Keep alerts as rows: opened when a problem has lasted long enough, over when it is no longer found."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from pipeline.monitoring.alerts.kinds import EVENTS, HOLDS_S, AlertKind, ConditionResult, Raised, Severity
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: An alert that was not found for this long is over.
CALM = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class ChangedAlert:
    """An alert that was opened (*new*) or has ended. The statement also returns those that were open already."""

    kind: str
    severity: Severity
    subject: str
    new: bool


class AlertStore:
    """Opens and ends alerts. Several processes may do so at once: the same problem is one row. Not thread-safe."""

    def __init__(self, *, calm: timedelta = CALM, holds_s: Mapping[AlertKind, float] = HOLDS_S) -> None:
        self._calm = calm
        self._holds_s = holds_s
        # Problems that have not lasted long enough to be alerts, and when each was first found.
        self._pending: dict[str, float] = {}

    def note(self, connection: Connection[DictRow], results: Sequence[ConditionResult]) -> list[ChangedAlert]:
        """Open and end alerts in the caller's transaction; return those that changed, for `log_changes`."""
        kinds = frozenset[AlertKind]().union(*(result.kinds for result in results))
        known = set(fetch_all(connection, str, sql("alerts", "open_keys"), {"kinds": _values(kinds)}))
        found = {alert.key: alert for result in results for alert in result.raised}
        # The problem of an alert that is open already does not have to last for `holds_s` again.
        lasting = [alert for alert in found.values() if alert.key in known or self._lasts(alert)]
        # A problem that goes away and comes back has to last for the full time again.
        self._pending = {key: since for key, since in self._pending.items() if key in found and key not in known}
        # Only a complete check shows that an alert is over: after a partial one, the problem may still exist.
        complete = {kind for result in results if result.complete for kind in result.kinds}
        return [*_opened(connection, lasting), *self._ended(connection, complete, found)]

    def _lasts(self, alert: Raised) -> bool:
        since = self._pending.setdefault(alert.key, time.monotonic())
        return time.monotonic() - since >= self._holds_s.get(alert.kind, 0.0)

    def _ended(
        self, connection: Connection[DictRow], complete: set[AlertKind], found: Mapping[str, Raised]
    ) -> list[ChangedAlert]:
        values = {"kinds": _values(complete), "keys": list(found), "calm": self._calm, "quiet": _values(EVENTS)}
        return fetch_all(connection, ChangedAlert, sql("alerts", "over"), values)


def log_changes(changes: Sequence[ChangedAlert]) -> None:
    """Log which alerts were opened or have ended. Call it after the commit."""
    for alert in changes:
        if alert.new:
            log.error("alert.opened", kind=alert.kind, severity=alert.severity.value, subject=alert.subject)
        else:
            log.info("alert.ended", kind=alert.kind, subject=alert.subject)


def _opened(connection: Connection[DictRow], lasting: Sequence[Raised]) -> list[ChangedAlert]:
    if not lasting:
        return []
    values = {"raised": Jsonb([alert.to_json() for alert in lasting])}
    return [alert for alert in fetch_all(connection, ChangedAlert, sql("alerts", "raise"), values) if alert.new]


def _values(kinds: frozenset[AlertKind] | set[AlertKind]) -> list[str]:
    return [kind.value for kind in kinds]
