"""Record once a second, in PostgreSQL, that a process is alive. RQ's own list of workers is lost with Redis."""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, LiteralString
from uuid import uuid4

from psycopg.types.json import Jsonb

from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.model.errors import TradewireError
from pipeline.store.processes import SETTINGS, VERSION
from pipeline.store.record import Record
from pipeline.store.statements import sql

# Several beats fit into `processes.GONE_AFTER`, so one lost beat does not count as a death.
EVERY_S = 1.0
#: Returns whether a process is well, and some facts about it.
Health = Callable[[], tuple[bool, dict[str, Any]]]


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
        # A beat that fails is not repeated for long, because the next one comes anyway.
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
        # Delete the old rows of processes that were killed.
        self._run(sql("heartbeats", "forget"), {})
        while True:
            healthy, facts = self._health()
            own = {VERSION: release()} | ({SETTINGS: self._settings} if self._settings else {})
            self._run(sql("heartbeats", "beat"), self._who | {"healthy": healthy, "facts": Jsonb(facts | own)})
            if self._stop.wait(EVERY_S):
                return

    def _run(self, statement: LiteralString, values: dict[str, Any]) -> None:
        # Readers of this row notice a missing heartbeat, so a failure needs no report here.
        with suppress(TradewireError):
            self._record.do(statement, values)


# Reading a package's metadata is slow, and every beat needs it.
@cache
def release() -> str:
    """Return the release of tradewire that is installed here."""
    return version("tradewire")
