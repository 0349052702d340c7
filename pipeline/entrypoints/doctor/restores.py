"""Check whether the record was compared with every account since it was restored from a backup."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, ok, warning
from pipeline.store.processes import living_processes
from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _Restore:
    restored_at: datetime
    restored_by: str
    file_name: str
    #: The executors whose account was not reconciled since the restore.
    executor_ids: list[str]


def check_restore(record: Record, executors: Mapping[str, ExecutorSettings]) -> CheckResult:
    """Check whether every account was reconciled since the last restore. Raises RecordUnavailable."""
    last = record.maybe(_Restore, sql("restores", "not_compared"), {"executor_ids": list(executors)})
    if last is None:
        return ok("restore", "the record was never restored from a backup")
    saw = f"restored from {last.file_name} by {last.restored_by} at {last.restored_at:%Y-%m-%d %H:%M:%S}Z"
    if not last.executor_ids:
        return ok("restore", f"{saw}; every account was reconciled since")
    keeper_runs = any(process.kind == "keeper" for process in record.run(living_processes))
    first = (
        "The keeper compares them within seconds." if keeper_runs else "Start the keeper, or run `tradewire reconcile`."
    )
    return warning(
        "restore",
        f"{saw}; not reconciled since: {', '.join(last.executor_ids)}",
        cause="The record lacks everything since that backup, and these accounts were not compared with it since.",
        remedy=f"{first} Entries wait until then; `tradewire reconcile` shows what differs.",
    )
