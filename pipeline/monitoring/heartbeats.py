"""Record each second that a process is alive. RQ forgets its workers with Redis, so this is a row in PostgreSQL."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, LiteralString
from uuid import uuid4

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.model.errors import TradewireError
from pipeline.store.query import fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql

EVERY_S = 1.0
#: A process whose last heartbeat is older than this counts as gone.
GONE_AFTER = timedelta(seconds=4)

#: The fact that holds the hash of the settings that the process runs with, by executor.
SETTINGS = "settings"
#: The fact that holds the release of tradewire that the process runs.
VERSION = "version"

#: Returns whether a process is well, and some facts about it.
Health = Callable[[], tuple[bool, dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class LivingProcess:
    """A process that recently wrote its heartbeat."""

    kind: str
    name: str
    host: str
    pid: int
    healthy: bool
    facts: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} (pid {self.pid} on {self.host})"

    @property
    def settings(self) -> Mapping[str, str]:
        """Return the hash of the settings that it runs with, by executor."""
        return self.facts.get(SETTINGS) or {}


def living_processes(connection: Connection[DictRow]) -> list[LivingProcess]:
    """Return the processes that wrote a heartbeat within `GONE_AFTER`."""
    return fetch_all(connection, LivingProcess, sql("heartbeats", "living"), {"within": GONE_AFTER})


class Heartbeat:
    """Writes one process's row from a thread of its own, until closed."""

    def __init__(
        self,
        database_url: str,
        *,
        kind: str,
        name: str,
        health: Health | None = None,
        executors: Mapping[str, ExecutorSettings] = MappingProxyType({}),
    ) -> None:
        self.process_id = uuid4()
        self._record = Record(database_url, connections=1, retry_for_s=0.5)
        self._who = {
            "process_id": self.process_id,
            "kind": kind,
            "name": name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        self._health = health or (lambda: (True, {}))
        self._settings = {executor_id: settings_hash(executor) for executor_id, executor in executors.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Delete the row: this process ends on purpose."""
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._run(sql("heartbeats", "end"), {"process_id": self.process_id})
        self._record.close()

    def _beat_for_ever(self) -> None:
        self._run(sql("heartbeats", "forget"), {})
        while True:
            healthy, facts = self._health()
            own = {VERSION: release()} | ({SETTINGS: self._settings} if self._settings else {})
            self._run(sql("heartbeats", "beat"), self._who | {"healthy": healthy, "facts": Jsonb(facts | own)})
            if self._stop.wait(EVERY_S):
                return

    def _run(self, statement: LiteralString, values: dict[str, Any]) -> None:
        # A missing heartbeat is what readers of this row look for, so a failure needs no report here.
        with suppress(TradewireError):
            self._record.do(statement, values)


@cache
def release() -> str:
    """Return the release of tradewire that is installed here."""
    return version("tradewire")
