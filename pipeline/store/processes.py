"""The running processes, by their heartbeats in the record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

#: A process whose last heartbeat is older than this counts as gone.
GONE_AFTER = timedelta(seconds=4)

#: The key of a heartbeat's fact: the hash of the settings that the process uses, by executor.
SETTINGS = "settings"
#: The key of a heartbeat's fact: the release of tradewire that the process runs.
VERSION = "version"
#: The key of a heartbeat's fact: the trouble of a worker with its queue, in a sentence without its subject.
QUEUE = "queue"


@dataclass(frozen=True, kw_only=True)
class LivingProcess:
    """A process that recently wrote its heartbeat."""

    kind: str
    name: str
    host: str
    pid: int
    healthy: bool
    facts: dict[str, Any]
    #: How long ago it started.
    runs_for: timedelta = timedelta(0)

    def __str__(self) -> str:
        return f"{self.kind} {self.name} (pid {self.pid} on {self.host})"

    @property
    def settings(self) -> Mapping[str, str]:
        """Return the hash of the settings that the process runs with, by executor."""
        return self.facts.get(SETTINGS) or {}


def living_processes(connection: Connection[DictRow]) -> list[LivingProcess]:
    """Return the processes that wrote a heartbeat within `GONE_AFTER`."""
    return fetch_all(connection, LivingProcess, sql("heartbeats", "living"), {"within": GONE_AFTER})


def queue_troubles(connection: Connection[DictRow]) -> dict[str, str]:
    """Return by executor what a living worker reports of its queue, for those that have trouble with it."""
    workers = (each for each in living_processes(connection) if each.kind == "worker")
    return {each.name: str(each.facts[QUEUE]) for each in workers if each.facts.get(QUEUE)}
