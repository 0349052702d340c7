"""Deliver messages, and make those about alerts.

A message is tried for about a day, and by the next channel too when one does not accept it. It may arrive twice.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import Alerts
from pipeline.model.backoff import Backoff
from pipeline.monitoring.alerts.channels import Send, choose_proxies, send
from pipeline.monitoring.alerts.messages import Message, UnreportedAlert, compose
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: Alerts that begin within this time go into one message.
GATHERS = timedelta(seconds=2)
#: One process may try a delivery for this long; then another may.
CLAIM = timedelta(seconds=30)
_BACKOFF = Backoff(first_s=5.0, longest_s=60.0)
_MOST = 2000


@dataclass(frozen=True, kw_only=True)
class _Unreported(UnreportedAlert):
    alert_id: int
    now: datetime
    last_message_at: datetime | None

    @property
    def changed_at(self) -> datetime:
        """Return when the alert began, or when it ended if its beginning was reported before."""
        return self.opened_at if self.opened_in is None or self.over_at is None else self.over_at


@dataclass(frozen=True, kw_only=True)
class _Delivery(Message):
    """A message for one channel, claimed by this process."""

    message_id: UUID
    channel: str
    tries: int
    #: The message is too old to be tried again.
    old: bool


@dataclass(frozen=True, kw_only=True)
class MessageDelivery(ABC):
    """Makes messages and delivers them. Several processes may do so at once; one takes over when another dies."""

    #: Messages of one subject never wait for those of another.
    about: ClassVar[Literal["alerts", "orders"]]

    record: Record
    alerts: Alerts
    send: Send = send
    gathers: timedelta = GATHERS
    claim: timedelta = CLAIM
    backoff: Backoff = _BACKOFF

    def __post_init__(self) -> None:
        choose_proxies(self.alerts.settings.proxies)

    def run_once(self) -> int:
        """Make the next message if one is due, try one delivery, and return how many were tried.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        if not self.alerts.channels:
            return 0
        # The id is made before the unit, so that a unit that runs again makes no second message.
        message_id = uuid4()
        self.record.run(lambda connection: self._make(connection, message_id))
        return int(self._deliver())

    @abstractmethod
    def _make(self, connection: Connection[DictRow], message_id: UUID) -> None:
        """Make the next message, if one is due. After its commit, the same call makes no second one."""

    def _insert(self, connection: Connection[DictRow], message_id: UUID, message: Message) -> None:
        which = {"message_id": message_id}
        values = {"title": message.title, "body": message.body, "severity": message.severity, "about": self.about}
        execute(connection, sql("alerts", "insert_message"), which | values)
        # The other channels are used only when the first one fails.
        execute(connection, sql("alerts", "deliver_by"), which | {"channel": next(iter(self.alerts.channels))})

    def _is_due(self, oldest: datetime, *, now: datetime, last: datetime | None) -> bool:
        """Return whether the *oldest* change has waited for others, and the *last* message is long enough ago."""
        group = timedelta(seconds=self.alerts.settings.group_s)
        return now - oldest >= self.gathers and (last is None or now - last >= group)

    def _deliver(self) -> bool:
        values = {"channels": list(self.alerts.channels), "claim": self.claim, "about": self.about}
        due = self.record.maybe(_Delivery, sql("alerts", "claim"), values)
        if due is None:
            return False
        began = time.monotonic()
        delivered = self.send(self.alerts.channels[due.channel], due)
        took_ms = round((time.monotonic() - began) * 1000, 1)
        self.record.run(lambda connection: self._record_attempt(connection, due, delivered=delivered, took_ms=took_ms))
        if delivered:
            log.info("alert.told", channel=due.channel, message_id=str(due.message_id))
        else:
            log.warning("alert.not_told", channel=due.channel, message_id=str(due.message_id), tries=due.tries)
        return True

    def _record_attempt(
        self, connection: Connection[DictRow], due: _Delivery, *, delivered: bool, took_ms: float
    ) -> None:
        # After a failed attempt this channel is tried again later and the next channel at once, so that a person
        # gets the alert even if the first channel stays down.
        which = {"message_id": due.message_id, "channel": due.channel}
        execute(connection, sql("alerts", "attempted"), which | {"delivered": delivered, "took_ms": took_ms})
        if delivered:
            execute(connection, sql("alerts", "delivered"), which)
            return
        # Without a gap, the channel is not tried again for this message.
        gap = None if due.old else timedelta(seconds=self.backoff.after(due.tries))
        execute(connection, sql("alerts", "again"), which | {"gap": gap})
        names = list(self.alerts.channels)
        for name in names[names.index(due.channel) + 1 :][:1]:
            execute(connection, sql("alerts", "deliver_by"), {"message_id": due.message_id, "channel": name})


class AlertDelivery(MessageDelivery):
    """Makes and delivers the messages about alerts."""

    about = "alerts"

    def _make(self, connection: Connection[DictRow], message_id: UUID) -> None:
        # If this runs again after a lost answer to COMMIT, it finds no unreported change and makes no second message.
        execute(connection, sql("alerts", "lock"))
        alerts = fetch_all(connection, _Unreported, sql("alerts", "unreported"), {"limit": _MOST})
        if not alerts or not self._is_due(_oldest(alerts), now=alerts[0].now, last=alerts[0].last_message_at):
            return
        self._insert(connection, message_id, compose(alerts))
        values = {"message_id": message_id, "alert_ids": [alert.alert_id for alert in alerts]}
        execute(connection, sql("alerts", "mark_reported"), values)


def _oldest(alerts: Sequence[_Unreported]) -> datetime:
    return min(alert.changed_at for alert in alerts)
