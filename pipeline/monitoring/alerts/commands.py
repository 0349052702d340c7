"""What people do with alerts: test the channels, list what is wrong, say that somebody looks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import Alerts, fingerprint
from config.schema.executor import ExecutorSettings
from pipeline.model.errors import NotPossible, Problem
from pipeline.monitoring.alerts.channels import Tell, tell
from pipeline.monitoring.alerts.messages import Message
from pipeline.store.record import Record
from pipeline.store.statements import sql

_TEST = Message(
    title="tradewire: a test", body="This channel works. It is told when something needs a person.", severity="over"
)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """How the test of a channel went."""

    channel: str
    took: bool


def try_channels(record: Record, alerts: Alerts, names: Collection[str], *, by: str, tell: Tell = tell) -> list[Tested]:
    """Send a test to each of *names*, and keep which ones took it.

    Raises:
        NotPossible: one of them is no channel.
        RecordUnavailable: PostgreSQL is away.
    """
    for name in names:
        if name not in alerts.channels:
            raise NotPossible(f"{name!r} is not a channel; there is {', '.join(alerts.channels) or 'none'}")
    found = [Tested(channel=name, took=tell(alerts.channels[name], _TEST)) for name in names]

    def unit(connection: Connection[DictRow]) -> None:
        for each in found:
            values = {"channel": each.channel, "fingerprint": fingerprint(alerts.channels[each.channel]), "by": by}
            if each.took:
                connection.execute(sql("alerts", "tested"), values)

    record.run(unit)
    return found


def tested(connection: Connection[DictRow], alerts: Alerts) -> list[str]:
    """Return the channels that took a test at the address that they have now."""
    rows = connection.execute(sql("alerts", "tests")).fetchall()
    took = {(row["channel"], row["fingerprint"]) for row in rows}
    return [name for name, address in alerts.channels.items() if (name, fingerprint(address)) in took]


def untold(connection: Connection[DictRow], executors: Collection[ExecutorSettings], alerts: Alerts) -> list[Problem]:
    """Return a problem per live executor when nobody would be told of its troubles, and nobody decided that."""
    live = [executor for executor in executors if executor.mode == "live"]
    if not live or alerts.silent or tested(connection, alerts):
        return []
    how = (
        "no alert channel was tested: run `tradewire alerts test`"
        if alerts.channels
        else "no alert channel is set up: name one in alerts.toml and run `tradewire alerts test`"
    )
    message = f'trades real money, and {how}, or write alerts = "none" there'
    return [Problem(key=f"executors.{executor.id}.mode", message=message) for executor in live]


def listed(record: Record, *, all_: bool, limit: int = 200) -> list[DictRow]:
    """Return the alerts that are open, or *all_*, the newest first.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"all": all_, "limit": limit}
    return record.run(lambda connection: connection.execute(sql("alerts", "list"), key).fetchall())


def ack(record: Record, alert_id: int | None, *, by: str, why: str) -> list[dict[str, Any]]:
    """Write down that somebody looks at an open alert, None: at all of them; return those.

    Raises:
        NotPossible: there is no such open alert, or somebody looks at it already.
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"alert_id": alert_id, "by": by, "why": why}
    rows = record.run(lambda connection: connection.execute(sql("alerts", "ack"), key).fetchall())
    if alert_id is not None and not rows:
        raise NotPossible(f"no open alert {alert_id} waits for somebody")
    return rows
