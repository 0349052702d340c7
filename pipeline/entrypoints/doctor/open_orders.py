"""Report open orders at the brokers that are not in the record, by the keeper's last comparison."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from config.schema.executor import ExecutorSettings
from pipeline.entrypoints.doctor.findings import CheckResult, critical, ok, warning
from pipeline.store.record import Record
from pipeline.store.rows import StrayOrder
from pipeline.store.statements import sql

# A comparison that is older than this is a warning: the keeper compares the open orders once a minute.
_LATE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class _LastRead:
    executor_id: str
    ago: timedelta


def check_open_orders(record: Record, executors: Mapping[str, ExecutorSettings]) -> Iterator[CheckResult]:
    """Yield one finding per executor. Raises RecordUnavailable."""
    key = {"executor_ids": list(executors)}
    strays = record.all(StrayOrder, sql("open_order_audit", "strays"), key)
    last = {each.executor_id: each.ago for each in record.all(_LastRead, sql("open_order_audit", "last_read"), key)}
    for executor_id in executors:
        yield _open_orders(executor_id, [each for each in strays if each.executor_id == executor_id], last)


def _open_orders(executor_id: str, strays: list[StrayOrder], last: Mapping[str, timedelta]) -> CheckResult:
    name = f"open orders {executor_id}"
    if strays:
        return critical(
            name,
            "not in the record: " + "; ".join(map(str, strays)),
            cause="Either another installation trades this account, or the record was restored from a backup.",
            remedy=f"Cancel them at the broker, or run `tradewire flatten {executor_id}`.",
        )
    if executor_id not in last:
        return ok(name, "not read yet")
    ago = last[executor_id]
    saw = f"all in the record, read {ago.total_seconds():.0f} s ago"
    if ago <= _LATE_AFTER:
        return ok(name, saw)
    return warning(
        name,
        saw,
        cause="The keeper does not run, or the broker's list of open orders cannot be read.",
        remedy="`tradewire doctor` shows both; the keeper's log has `poll.failed`.",
    )
