"""Deliver what is to be told: each message once per channel, the next channel when one does not take it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import Alerts
from pipeline.monitoring.alerts.channels import Tell, tell
from pipeline.monitoring.alerts.messages import Message, compose
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: What begins together is told together.
GATHERS = timedelta(seconds=2)
#: A delivery is tried by one process for so long; then another may.
CLAIM = timedelta(seconds=30)
_FIRST_GAP, _LONGEST_GAP = timedelta(seconds=5), timedelta(seconds=60)
_MOST = 2000


@dataclass(frozen=True, kw_only=True)
class AlertDelivery:
    """Makes messages and delivers them. Several may do so at once; one that dies leaves its work to the others."""

    record: Record
    alerts: Alerts
    tell: Tell = tell
    gathers: timedelta = GATHERS
    claim: timedelta = CLAIM
    first_gap: timedelta = _FIRST_GAP

    def run_once(self) -> int:
        """Make the next message if one is due, try one delivery, and return how many were tried.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        if not self.alerts.channels:
            return 0
        message_id = uuid4()
        self.record.run(lambda connection: self._make(connection, message_id))
        return int(self._deliver())

    def _make(self, connection: Connection[DictRow], message_id: Any) -> None:
        """Make a message of what is untold. Run again after a lost answer, there is nothing left to tell."""
        connection.execute(sql("alerts", "lock"))
        rows = connection.execute(sql("alerts", "untold"), {"limit": _MOST}).fetchall()
        if not rows or not self._is_due(rows):
            return
        message = compose(rows)
        values = {"message_id": message_id, "title": message.title, "body": message.body, "severity": message.severity}
        connection.execute(sql("alerts", "insert_message"), values)
        told = {"message_id": message_id, "alert_ids": [row["alert_id"] for row in rows]}
        connection.execute(sql("alerts", "told"), told)
        first = {"message_id": message_id, "channel": next(iter(self.alerts.channels))}
        connection.execute(sql("alerts", "deliver_by"), first)

    def _is_due(self, rows: list[DictRow]) -> bool:
        """Wait a moment for what belongs together, and longer after a message: a storm is not told drop by drop."""
        now, last = rows[0]["now"], rows[0]["last_message_at"]
        news = [row["opened_at"] if row["opened_in"] is None else row["over_at"] for row in rows]
        gathered = now - min(news) >= self.gathers
        return gathered and (last is None or now - last >= timedelta(seconds=self.alerts.settings.group_s))

    def _deliver(self) -> bool:
        """Try one delivery that is due."""
        key = {"channels": list(self.alerts.channels), "claim": self.claim}
        row = self.record.run(lambda connection: connection.execute(sql("alerts", "claim"), key).fetchone())
        if row is None:
            return False
        began = time.monotonic()
        message = Message(title=row["title"], body=row["body"], severity=row["severity"])
        delivered = self.tell(self.alerts.channels[row["channel"]], message)
        took_ms = round((time.monotonic() - began) * 1000, 1)
        self.record.run(lambda connection: self._note(connection, row, delivered=delivered, took_ms=took_ms))
        if delivered:
            log.info("alert.told", channel=row["channel"], message_id=str(row["message_id"]))
        else:
            log.warning("alert.not_told", channel=row["channel"], message_id=str(row["message_id"]), tries=row["tries"])
        return True

    def _note(self, connection: Connection[DictRow], row: DictRow, *, delivered: bool, took_ms: float) -> None:
        which = {"message_id": row["message_id"], "channel": row["channel"]}
        connection.execute(sql("alerts", "attempted"), which | {"delivered": delivered, "took_ms": took_ms})
        if delivered:
            connection.execute(sql("alerts", "delivered"), which)
            return
        gap = None if row["old"] else min(self.first_gap * 2 ** min(row["tries"] - 1, 10), _LONGEST_GAP)
        connection.execute(sql("alerts", "again"), which | {"gap": gap})
        names = list(self.alerts.channels)
        for name in names[names.index(row["channel"]) + 1 :][:1]:
            connection.execute(sql("alerts", "deliver_by"), {"message_id": row["message_id"], "channel": name})
