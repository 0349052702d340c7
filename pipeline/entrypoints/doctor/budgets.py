"""Check how many requests to its broker each account has used in the last minute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.entrypoints.doctor.findings import CheckResult, ok, warning
from pipeline.store.query import fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql

# The check warns when this share of the limit is used.
_NEARLY = 0.9


@dataclass(frozen=True, kw_only=True)
class _Budget:
    #: The account's key.
    holder: str
    spent: int
    #: Seconds for which the account still waits after an answer 429; 0 when it does not wait.
    closed_s: float


def check_budgets(record: Record, executors: Mapping[str, ExecutorSettings]) -> Iterator[CheckResult]:
    """Yield one finding per executor. Raises RecordUnavailable."""

    def unit(connection: Connection[DictRow]) -> tuple[dict[str, str], dict[str, _Budget]]:
        keys = {executor_id: account_key_of(connection, executor_id) for executor_id in executors}
        found = fetch_all(connection, _Budget, sql("doctor", "budgets"), {"holders": list(keys.values())})
        return keys, {budget.holder: budget for budget in found}

    keys, budgets = record.run(unit)
    for executor_id, executor in executors.items():
        yield _finding(executor, budgets.get(keys[executor_id]))


def _finding(executor: ExecutorSettings, budget: _Budget | None) -> CheckResult:
    name, most = f"request budget {executor.id}", executor.limits.requests_per_minute
    spent = int(budget.spent) if budget else 0
    saw = f"{spent} of {most} requests in the last minute" if most is not None else "no limit is set"
    if budget and budget.closed_s > 0:
        return warning(
            name,
            f"{saw}; the broker answered 429, the account waits {budget.closed_s:.0f} s",
            cause="The broker allows less than `limits.requests_per_minute`, or another program uses the keys.",
            remedy="Lower `limits.requests_per_minute` of this executor. The account continues when the wait is over.",
        )
    if most is not None and spent >= most * _NEARLY:
        return warning(
            name,
            saw,
            cause="Many signals, orders or dashboards use this account at once; entries wait, exits are still sent.",
            remedy="After a burst, nothing; otherwise send fewer signals, or get a plan with more requests.",
        )
    return ok(name, saw)
