"""Keep what is wrong as rows: opened when it lasts, over when nobody sees it any more."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from pipeline.monitoring.alerts.kinds import EVENTS, HOLDS_S, AlertKind, Look, Raised
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: An alert that was not seen for so long is over.
CALM = timedelta(seconds=10)


class AlertStore:
    """Writes looks down. Several may do so at once: the same trouble is one row. Not thread-safe."""

    def __init__(self, *, calm: timedelta = CALM, holds_s: Mapping[AlertKind, float] = HOLDS_S) -> None:
        self._calm = calm
        self._holds_s = holds_s
        # What is wrong and not for long enough yet: since when.
        self._pending: dict[str, float] = {}

    def note(self, connection: Connection[DictRow], looks: Sequence[Look]) -> list[DictRow]:
        """Open and end alerts in the caller's transaction; return the rows that changed, for `say`."""
        kinds = frozenset[AlertKind]().union(*(look.kinds for look in looks))
        rows = connection.execute(sql("alerts", "open_keys"), {"kinds": [kind.value for kind in kinds]}).fetchall()
        known = {row["key"] for row in rows}
        seen = {alert.key: alert for look in looks for alert in look.raised}
        lasting = [alert for alert in seen.values() if alert.key in known or self._lasts(alert)]
        self._pending = {key: since for key, since in self._pending.items() if key in seen and key not in known}
        changed = []
        if lasting:
            raised = Jsonb([alert.to_json() for alert in lasting])
            rows = connection.execute(sql("alerts", "raise"), {"raised": raised}).fetchall()
            changed += [row for row in rows if row["new"]]
        ended = {kind for look in looks if look.complete for kind in look.kinds}
        values = {
            "kinds": [kind.value for kind in ended],
            "keys": list(seen),
            "calm": self._calm,
            "quiet": [kind.value for kind in EVENTS],
        }
        over = connection.execute(sql("alerts", "over"), values).fetchall()
        return [*changed, *({**row, "new": False} for row in over)]

    def _lasts(self, alert: Raised) -> bool:
        since = self._pending.setdefault(alert.key, time.monotonic())
        return time.monotonic() - since >= self._holds_s.get(alert.kind, 0.0)


def say(rows: Sequence[DictRow]) -> None:
    """Log what changed, after the commit."""
    for row in rows:
        if row["new"]:
            log.error("alert.opened", kind=row["kind"], severity=row["severity"], subject=row["subject"])
        else:
            log.info("alert.ended", kind=row["kind"], subject=row["subject"])
