"""Find the executors that turn too few executions into orders."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import ExecutionRateAlert
from config.schema.executor import ExecutorSettings
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.rows import Mode
from pipeline.store.statements import sql

# With many executions a count is slow. From the start of one count to the next, at least this many times its duration
# passes.
_SHARE = 30


@dataclass(frozen=True, kw_only=True)
class _Rate:
    executor_id: str
    mode: Mode
    decided: int
    ordered: int


class ExecutionRates:
    """The condition on the execution rate."""

    def __init__(self, rate: ExecutionRateAlert) -> None:
        self._rate = rate
        self._not_before = 0.0

    def __call__(self, connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
        """Compare each executor's rate with the configured one; find nothing when the last count was too recent."""
        began = time.monotonic()
        if began < self._not_before:
            return ConditionResult(kinds=frozenset(), raised=())
        values = {"window": timedelta(seconds=self._rate.window_s)}
        rates = fetch_all(connection, _Rate, sql("alerts", "rates"), values)
        self._not_before = began + (time.monotonic() - began) * _SHARE
        return found(AlertKind.EXECUTION_RATE, [self._alert(rate) for rate in rates if self._is_low(rate)])

    def _is_low(self, rate: _Rate) -> bool:
        enough = rate.decided >= self._rate.minimum
        return enough and rate.ordered * 100 < rate.decided * self._rate.below_percent

    def _alert(self, rate: _Rate) -> Raised:
        which, minutes = f"{rate.executor_id}:{rate.mode}", self._rate.window_s // 60
        subject = (
            f"{rate.executor_id} ({rate.mode}) made orders of {rate.ordered} out of {rate.decided} executions "
            f"in {minutes} min"
        )
        name, decided, ordered = rate.executor_id, rate.decided, rate.ordered
        return raised(AlertKind.EXECUTION_RATE, which, subject, executor=name, decided=decided, ordered=ordered)
