"""Look at what the processes run with, and at executors that left the file."""

from __future__ import annotations

from collections.abc import Mapping

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.startup.removed_executors import gone_executors
from pipeline.startup.settings_drift import compare
from pipeline.store.record import Record


def look_at_settings(record: Record, executors: Mapping[str, ExecutorSettings]) -> CheckResult:
    """Say whether every process runs with the settings of the file, and so with those of the others."""
    stale = [
        f"{executor_id}: {process} runs with {process.settings_hash[:8]}"
        for executor_id, compared in compare(record, executors).items()
        for process in compared.stale
    ]
    if not stale:
        return CheckResult(name="settings", status=CheckStatus.OK, saw="every process runs with the file's")
    return CheckResult(
        name="settings",
        status=CheckStatus.WARNING,
        saw="; ".join(stale),
        cause="The file was changed after they were started, or they were started with another one.",
        remedy="`tradewire config diff` says what differs; restart them.",
    )


def look_at_gone(record: Record, executors: Mapping[str, ExecutorSettings]) -> list[CheckResult]:
    """Return one finding per executor that left the file with open work or positions."""
    found = record.run(lambda connection: gone_executors(connection, executors))
    return [
        CheckResult(
            name=f"executor {gone.executor_id}",
            status=CheckStatus.WARNING,
            saw=f"it is not in the file, and left {gone}",
            cause="Its table was taken out or renamed; no process that starts now would look after what it left.",
            remedy=f"{gone.remedy[0].upper()}{gone.remedy[1:]}.",
        )
        for gone in found
    ]
