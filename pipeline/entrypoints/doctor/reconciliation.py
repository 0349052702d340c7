"""Report what differs between each account and the record, by the last reconcile."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from config.schema.executor import ExecutorSettings
from pipeline.accounts.findings import Finding, LastReconcile, last_reconciles, open_findings
from pipeline.entrypoints.doctor.findings import CheckResult, critical, ok, warning
from pipeline.model.findings import COUNTS_FOR
from pipeline.monitoring.alerts.finding_conditions import severity
from pipeline.monitoring.alerts.kinds import Severity
from pipeline.store.processes import living_processes
from pipeline.store.record import Record

# A keeper compares the accounts within seconds of its start.
_FIRST_WITHIN = timedelta(minutes=1)
_SHOWN = 5  # More would not fit into one line.


def check_reconciliation(record: Record, executors: Mapping[str, ExecutorSettings]) -> Iterator[CheckResult]:
    """Yield one finding per executor. Raises RecordUnavailable."""
    differences = record.run(lambda connection: open_findings(connection, executors))
    last = record.run(lambda connection: last_reconciles(connection, executors))
    keepers = [each.runs_for for each in record.run(living_processes) if each.kind == "keeper"]
    is_late = max(keepers, default=timedelta(0)) > _FIRST_WITHIN
    for executor_id in executors:
        yield _of_account(
            f"reconcile {executor_id}",
            [each for each in differences if each.executor_id == executor_id],
            last.get(executor_id),
            is_late=is_late,
        )


def _of_account(name: str, differences: Sequence[Finding], last: LastReconcile | None, *, is_late: bool) -> CheckResult:
    if differences:
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        is_critical = any(severity(each) is Severity.CRITICAL for each in differences)
        return (critical if is_critical else warning)(
            name,
            f"{'; '.join(map(str, differences[:_SHOWN]))}{more}",
            cause="Someone else trades the account, or the record lacks something. Entries of these symbols wait.",
            remedy=" ".join(dict.fromkeys(each.remedy for each in differences)),
        )
    if last is None:
        saw, is_fine = "not compared with the record yet", not is_late
    else:
        saw = f"the account and the record agree, compared {last.ago.total_seconds():.0f} s ago"
        is_fine = last.ago <= COUNTS_FOR
    if is_fine:
        return ok(name, saw)
    return warning(
        name,
        saw,
        cause="The keeper does not run, or the broker's lists cannot be read. Entries wait.",
        remedy="`tradewire doctor` shows both; the keeper's log has `reconcile.failed`.",
    )
