"""Compare the file of executors with what the running processes use, and with what was last accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.checks.changes import Change, differences
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.monitoring.heartbeats import GONE_AFTER, SETTINGS
from pipeline.startup.live_limits import accepted_differences
from pipeline.store.record import Record
from pipeline.store.settings_archive import bodies, body_of
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process and the settings of one executor that it runs with."""

    kind: str
    name: str
    host: str
    pid: int
    settings_hash: str
    #: From what it uses to what the file says; None when its settings were not kept, or the file has none.
    changes: Sequence[Change] | None
    #: It uses what the file says.
    current: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.name} (pid {self.pid} on {self.host})"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One executor: the file against the processes and the last acceptance."""

    executor_id: str
    #: The hash of the file's settings; None when the file has no such executor.
    file_hash: str | None
    processes: tuple[Running, ...]
    #: From what was last accepted for real money to the file; None when it never traded live.
    accepted: Sequence[Change] | None

    @property
    def stale(self) -> tuple[Running, ...]:
        """Return the processes that a restart would change."""
        return tuple(process for process in self.processes if not process.current)

    @property
    def equal(self) -> bool:
        """Say whether nothing differs."""
        return not self.stale and not self.accepted

    def to_json(self) -> dict[str, Any]:
        """Return it as `config diff --json` prints it."""
        return {
            "file": self.file_hash,
            "equal": self.equal,
            "processes": [
                {
                    "kind": process.kind,
                    "name": process.name,
                    "host": process.host,
                    "pid": process.pid,
                    "settings_hash": process.settings_hash,
                    "current": process.current,
                    "changes": _changes_json(process.changes),
                }
                for process in self.processes
            ],
            "since_accepted": _changes_json(self.accepted),
        }


def compare(record: Record, executors: Mapping[str, ExecutorSettings]) -> dict[str, Compared]:
    """Return every executor of the file and of the living processes, compared.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: compared(connection, executors))


def compared(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> dict[str, Compared]:
    """Return the same within a unit of work."""
    rows = connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    used = [(row, row["facts"].get(SETTINGS) or {}) for row in rows]
    kept = bodies(connection, {value for _, settings in used for value in settings.values()})
    found = {}
    for executor_id in dict.fromkeys([*executors, *(name for _, settings in used for name in settings)]):
        executor = executors.get(executor_id)
        found[executor_id] = Compared(
            executor_id=executor_id,
            file_hash=None if executor is None else settings_hash(executor),
            processes=tuple(
                _running(row, settings[executor_id], executor, kept)
                for row, settings in used
                if executor_id in settings
            ),
            accepted=None if executor is None else _accepted(connection, executor),
        )
    return found


def _running(
    row: DictRow, used: str, executor: ExecutorSettings | None, kept: Mapping[str, Mapping[str, Any]]
) -> Running:
    current = executor is not None and used == settings_hash(executor)
    changes = None if executor is None or used not in kept else differences(kept[used], body_of(executor))
    return Running(
        kind=row["kind"],
        name=row["name"],
        host=row["host"],
        pid=row["pid"],
        settings_hash=used,
        changes=changes,
        current=current,
    )


def _accepted(connection: Connection[DictRow], executor: ExecutorSettings) -> Sequence[Change] | None:
    return accepted_differences(connection, executor) if executor.mode == "live" else None


def _changes_json(changes: Sequence[Change] | None) -> list[dict[str, Any]] | None:
    if changes is None:
        return None
    return [{"key": change.key, "old": change.old, "new": change.new} for change in changes]
