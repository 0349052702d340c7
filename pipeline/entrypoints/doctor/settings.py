"""Check the settings that the processes run with, and find executors that were removed from the file."""

from collections.abc import Mapping

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, ok, warning
from pipeline.startup.removed_executors import removed_executors
from pipeline.startup.settings_drift import compare
from pipeline.store.record import Record


def check_settings(record: Record, executors: Mapping[str, ExecutorSettings]) -> CheckResult:
    """Check whether every process runs with the settings in the file."""
    stale = [
        f"{executor_id}: {process} runs with {process.settings_hash[:8]}"
        for executor_id, comparison in compare(record, executors).items()
        for process in comparison.stale
    ]
    if not stale:
        return ok("settings", "every process uses the file's settings")
    return warning(
        "settings",
        "; ".join(stale),
        cause="The file was changed after these processes started, or they started with another file.",
        remedy="`tradewire config diff` shows the differences; restart the processes.",
    )


def check_removed_executors(record: Record, executors: Mapping[str, ExecutorSettings]) -> list[CheckResult]:
    """Return one finding per executor that was removed from the file while it had open work or positions."""
    found = record.run(lambda connection: removed_executors(connection, executors))
    return [
        warning(
            f"executor {removed.executor_id}",
            f"it is not in the file, and left {removed}",
            cause="Its table was removed or renamed, so no process that starts now looks after this.",
            remedy=f"{removed.remedy[0].upper()}{removed.remedy[1:]}.",
        )
        for removed in found
    ]
