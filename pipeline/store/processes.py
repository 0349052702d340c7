"""The processes that are alive, by their heartbeats in the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

#: A process whose last heartbeat is older than this counts as gone.
GONE_AFTER = timedelta(seconds=4)


@dataclass(frozen=True, kw_only=True)
class ProcessName:
    """A process by its kind and its name."""

    kind: str
    name: str


def alive(connection: Connection[DictRow]) -> list[ProcessName]:
    """Return the processes whose last heartbeat is younger than `GONE_AFTER`."""
    return fetch_all(connection, ProcessName, sql("heartbeats", "living"), {"within": GONE_AFTER})
