"""Check whether the record was compared with every broker since it was restored from a backup."""

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
    #: The executors whose open orders no keeper has read since the restore.
    executor_ids: list[str]


def check_restore(record: Record, executors: Mapping[str, ExecutorSettings]) -> CheckResult:
    """Check whether every account's open orders were read since the last restore. Raises RecordUnavailable."""
    last = record.maybe(_Restore, sql("restores", "not_compared"), {"executor_ids": list(executors)})
    if last is None:
        return ok("restore", "the record was never restored from a backup")
    saw = f"restored from {last.file_name} by {last.restored_by} at {last.restored_at:%Y-%m-%d %H:%M:%S}Z"
    if not last.executor_ids:
        return ok("restore", f"{saw}; the open orders of every account were read since")
    keeper_runs = any(process.kind == "keeper" for process in record.run(living_processes))
    first = "The keeper runs and reads them within a minute." if keeper_runs else "Start the keeper."
    return warning(
        "restore",
        f"{saw}; open orders not read since: {', '.join(last.executor_ids)}",
        cause="The record lacks everything since that backup, and no keeper has read these open orders since.",
        remedy=f"{first} Then compare the positions with those at the broker before entries go on.",
    )
