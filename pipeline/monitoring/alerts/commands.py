"""The commands of `tradewire alerts`: test the channels, list alerts, acknowledge them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import Alerts, fingerprint
from pipeline.model.errors import NotPossible
from pipeline.monitoring.alerts.channels import Send, choose_proxies, send
from pipeline.monitoring.alerts.kinds import Severity
from pipeline.monitoring.alerts.messages import Message
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql

_TEST = Message(
    title="tradewire: a test",
    body="This channel works. It gets a message when something needs a person.",
    severity="over",  # Channels show it as a success: a test is no problem.
)


@dataclass(frozen=True, kw_only=True)
class OpenOfKind:
    """The number of open alerts of one kind, and of those that no person has acknowledged."""

    kind: str
    open: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.kind} {self.open}"


@dataclass(frozen=True, kw_only=True)
class ListedAlert:
    """One alert as `tradewire alerts list` prints it; its JSON has the fields in this order."""

    alert_id: int
    key: str
    kind: str
    severity: Severity
    subject: str
    facts: dict[str, Any]
    acked_by: str | None
    acked_why: str | None
    opened_at: datetime
    #: When it was last found.
    seen_at: datetime
    over_at: datetime | None
    acked_at: datetime | None
    #: The channels that delivered the message about the alert's beginning.
    told_by: list[str] | None

    @property
    def waits(self) -> bool:
        """Return whether the alert is open and unacknowledged."""
        return self.over_at is None and self.acked_at is None


@dataclass(frozen=True, kw_only=True)
class AcknowledgedAlert:
    """An alert that was just acknowledged."""

    alert_id: int
    subject: str


@dataclass(frozen=True, kw_only=True)
class _Test:
    """The last test that a channel accepted, with a hash of the address it then had."""

    channel: str
    fingerprint: str


def try_channels(
    record: Record, alerts: Alerts, names: Collection[str], *, by: str, send: Send = send
) -> dict[str, bool]:
    """Send a test message to each of *names*; record the channels that accept it, and return by name whether each did.

    Raises:
        NotPossible: one of them is not a channel.
        RecordUnavailable: PostgreSQL is away.
    """
    for name in names:
        if name not in alerts.channels:
            raise NotPossible(f"{name!r} is not a channel; there is {', '.join(alerts.channels) or 'none'}")
    choose_proxies(alerts.settings.proxies)
    # Sent before the unit, because a unit may run again, and a person should get only one test message.
    took = {name: send(alerts.channels[name], _TEST) for name in names}

    def unit(connection: Connection[DictRow]) -> None:
        for name in names:
            if took[name]:
                values = {"channel": name, "fingerprint": fingerprint(alerts.channels[name]), "by": by}
                execute(connection, sql("alerts", "tested"), values)

    record.run(unit)
    return took


def tested_channels(connection: Connection[DictRow], alerts: Alerts) -> list[str]:
    """Return the channels that accepted a test at the address that they have now."""
    # The fingerprint must match, too: an address that was changed since its test is untested.
    tests = {(test.channel, test.fingerprint) for test in fetch_all(connection, _Test, sql("alerts", "tests"))}
    return [name for name, address in alerts.channels.items() if (name, fingerprint(address)) in tests]


def open_by_kind(record: Record) -> list[OpenOfKind]:
    """Return how many alerts of each kind are open, the most frequent kind last. Raises RecordUnavailable."""
    return record.all(OpenOfKind, sql("alerts", "open_by_kind"))


def listed(record: Record, *, all_: bool, limit: int = 200) -> list[ListedAlert]:
    """Return the open alerts, or with *all_* every alert; the newest first. Raises RecordUnavailable."""
    return record.all(ListedAlert, sql("alerts", "list"), {"all": all_, "limit": limit})


def ack(record: Record, alert_id: int | None, *, by: str, why: str) -> list[AcknowledgedAlert]:
    """Acknowledge one open alert, or all if *alert_id* is None, and return those that were acknowledged.

    Raises:
        NotPossible: there is no such open alert, or it was acknowledged before.
        RecordUnavailable: PostgreSQL is away.
    """
    alerts = record.all(AcknowledgedAlert, sql("alerts", "ack"), {"alert_id": alert_id, "by": by, "why": why})
    # Acknowledging all alerts when none is open is not an error.
    if alert_id is not None and not alerts:
        raise NotPossible(f"there is no open, unacknowledged alert {alert_id}")
    return alerts
