"""Count signals and their executions: rates with their denominators, per executor and mode."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.states import UNDECIDED, State
from pipeline.store.query import fetch_all, fetch_one
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from pipeline.views.count_schemas import LatencyView, Report


@dataclass(kw_only=True)
class ReportTally:
    """The counts of a group of executions."""

    executions: int = 0
    #: Executions that are decided, and that our rules did not skip: each could have become an order.
    eligible: int = 0
    with_order: int = 0
    filled: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)

    def add(self, state: State, reason_code: str | None, *, count: int, with_order: int, filled: int = 0) -> None:
        """Count a group of executions that have the same state and reason."""
        self.executions += count
        self.by_status[state.value] += count
        if reason_code:
            self.by_reason[reason_code] += count
        if state not in UNDECIDED and state is not State.SKIPPED:
            self.eligible += count
            self.with_order += with_order
            self.filled += filled

    @property
    def execution_rate(self) -> float | None:
        """Return the share of eligible executions that have a broker's order id; None when none is eligible."""
        return self.with_order / self.eligible if self.eligible else None

    @property
    def fill_rate(self) -> float | None:
        """Return the share of orders that are filled; None when there is no order."""
        return self.filled / self.with_order if self.with_order else None


@dataclass(frozen=True, kw_only=True)
class _Total:
    executor_id: str
    mode: Mode
    state: State
    reason_code: str | None
    count: int
    with_order: int
    filled: int


@dataclass(frozen=True, kw_only=True)
class _Counts:
    signals: int
    refused: int
    oldest_unfinished_s: Decimal | None


def report(record: Record, *, since: datetime | None = None) -> Report:
    """Return the report. With executions in several modes the total rates are null, since modes are never mixed.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> Report:
        key = {"since": since}
        totals = fetch_all(connection, _Total, sql("history", "totals"), key)
        counts = fetch_one(connection, _Counts, sql("history", "signal_counts"), key)
        # PostgreSQL returns null in place of the percentiles when there is no order.
        percentiles = fetch_all(connection, list, sql("history", "latencies"), key)[0] or [None] * 3
        return _report(totals, counts, percentiles)

    return record.run(unit)


def _report(totals: Iterable[_Total], counts: _Counts, percentiles: list[float | None]) -> Report:
    everything = ReportTally()
    by_executor: dict[str, dict[str, ReportTally]] = {}
    for row in totals:
        tally = by_executor.setdefault(row.executor_id, {}).setdefault(row.mode.value, ReportTally())
        for each in (everything, tally):
            each.add(row.state, row.reason_code, count=row.count, with_order=row.with_order, filled=row.filled)
    # A rate never mixes modes such as paper and live.
    one_mode = len({mode for modes in by_executor.values() for mode in modes}) <= 1
    p50, p95, p99 = (None if value is None else round(float(value), 1) for value in percentiles)
    more = {
        "by_executor": {name: dict(sorted(modes.items())) for name, modes in sorted(by_executor.items())},
        "execution_rate": everything.execution_rate if one_mode else None,
        "fill_rate": everything.fill_rate if one_mode else None,
        "oldest_unfinished_s": seconds(counts.oldest_unfinished_s),
        "latency_ms": LatencyView(p50=p50, p95=p95, p99=p99),
    }
    return Report.model_validate(vars(counts) | vars(everything) | more)


def seconds(span: Decimal | None) -> float | None:
    """Return *span* in seconds, rounded to milliseconds."""
    return None if span is None else round(float(span), 3)
