"""Look at how many requests each account may still send this minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.entrypoints.doctor.findings import CheckResult, CheckStatus
from pipeline.store.record import Record
from pipeline.store.statements import sql

_NEARLY = 0.9


def look_at_budgets(record: Record, executors: Mapping[str, ExecutorSettings]) -> Iterator[CheckResult]:
    """Yield one finding per executor.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> tuple[dict[str, str], dict[str, DictRow]]:
        holders = {executor_id: account_key_of(connection, executor_id) for executor_id in executors}
        rows = connection.execute(sql("doctor", "budgets"), {"holders": list(holders.values())}).fetchall()
        return holders, {row["holder"]: row for row in rows}

    holders, rows = record.run(unit)
    for executor_id, executor in executors.items():
        yield _finding(executor, rows.get(holders[executor_id]))


def _finding(executor: ExecutorSettings, row: Mapping[str, Any] | None) -> CheckResult:
    name, most = f"request budget {executor.id}", executor.limits.requests_per_minute
    spent = int(row["spent"]) if row else 0
    saw = f"{spent} of {most} requests in the last minute" if most is not None else "no limit is set"
    if row and row["closed_s"] > 0:
        return CheckResult(
            name=name,
            status=CheckStatus.WARNING,
            saw=f"{saw}; the broker answered 429, the account waits {row['closed_s']:.0f} s",
            cause="The broker allows fewer requests than `limits.requests_per_minute`, or somebody else uses the keys.",
            remedy="Lower `limits.requests_per_minute` of this executor; it goes on by itself.",
        )
    if most is not None and spent >= most * _NEARLY:
        return CheckResult(
            name=name,
            status=CheckStatus.WARNING,
            saw=saw,
            cause="Many signals, orders or dashboards of this account at once; entries wait, exits still go.",
            remedy="Nothing to do for a burst; else fewer signals, or a broker's plan that allows more.",
        )
    return CheckResult(name=name, status=CheckStatus.OK, saw=saw)
