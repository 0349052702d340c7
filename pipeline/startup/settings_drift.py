"""Compare the executors file with the settings of the running processes, and with those that were last accepted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.checks.changes import Change, differences
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.startup.live_limits import accepted_differences
from pipeline.store.processes import LivingProcess, living_processes
from pipeline.store.record import Record
from pipeline.store.settings_archive import bodies, body_of


@dataclass(frozen=True, kw_only=True)
class ProcessSettings:
    """A running process, and the settings of one executor that it uses."""

    process: LivingProcess
    settings_hash: str
    #: Whether the process uses the file's settings.
    current: bool
    #: The changes from the settings in use to the file's settings; None when either of them is not known.
    changes: Sequence[Change] | None

    def __str__(self) -> str:
        return str(self.process)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `config diff --json` prints."""
        process = {name: getattr(self.process, name) for name in ("kind", "name", "host", "pid")}
        own = {"settings_hash": self.settings_hash, "current": self.current}
        return process | own | {"changes": _changes_json(self.changes)}


@dataclass(frozen=True, kw_only=True)
class SettingsComparison:
    """One executor: its settings in the file compared with those in use, and with those that were last accepted."""

    executor_id: str
    #: The hash of the file's settings; None when the file has no such executor.
    file_hash: str | None
    processes: tuple[ProcessSettings, ...]
    #: The changes from the settings that were last accepted for real money to the file's settings. None: the executor
    #: is not live, or no settings of its account were accepted yet.
    accepted: Sequence[Change] | None

    @property
    def stale(self) -> tuple[ProcessSettings, ...]:
        """Return the processes that need a restart to use the file's settings."""
        return tuple(process for process in self.processes if not process.current)

    @property
    def equal(self) -> bool:
        """Return whether nothing differs."""
        return not self.stale and not self.accepted

    def to_json(self) -> dict[str, Any]:
        """Return the object that `config diff --json` prints."""
        return {
            "file": self.file_hash,
            "equal": self.equal,
            "processes": [process.to_json() for process in self.processes],
            "since_accepted": _changes_json(self.accepted),
        }


def compare(record: Record, executors: Mapping[str, ExecutorSettings]) -> dict[str, SettingsComparison]:
    """Return the comparison for every executor in the file or in a running process. Raises RecordUnavailable."""
    return record.run(lambda connection: _compared(connection, executors))


def _compared(
    connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]
) -> dict[str, SettingsComparison]:
    processes = living_processes(connection)
    in_use = [(executor_id, used) for process in processes for executor_id, used in process.settings.items()]
    kept = bodies(connection, {used for _, used in in_use})
    comparisons = {}
    # Include executors that are no longer in the file, but that a process still uses.
    for executor_id in dict.fromkeys([*executors, *(executor_id for executor_id, _ in in_use)]):
        executor = executors.get(executor_id)
        comparisons[executor_id] = SettingsComparison(
            executor_id=executor_id,
            file_hash=None if executor is None else settings_hash(executor),
            processes=tuple(
                _process(process, process.settings[executor_id], executor, kept)
                for process in processes
                if executor_id in process.settings
            ),
            # Only the settings of a live executor need to be accepted.
            accepted=accepted_differences(connection, executor) if executor and executor.mode == "live" else None,
        )
    return comparisons


def _process(
    process: LivingProcess, used: str, executor: ExecutorSettings | None, kept: Mapping[str, Mapping[str, Any]]
) -> ProcessSettings:
    return ProcessSettings(
        process=process,
        settings_hash=used,
        current=executor is not None and used == settings_hash(executor),
        changes=None if executor is None or used not in kept else differences(kept[used], body_of(executor)),
    )


def _changes_json(changes: Sequence[Change] | None) -> list[dict[str, Any]] | None:
    return None if changes is None else [asdict(change) for change in changes]
