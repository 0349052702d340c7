"""Count what came in and what became of it: rates with their denominators, per executor and mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.states import UNDECIDED, State
from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(kw_only=True)
class ReportTally:
    """Counts over some executions."""

    executions: int = 0
    #: Decided, and not skipped by a rule of ours: what could have become an order.
    eligible: int = 0
    with_order: int = 0
    filled: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)

    def add(self, row: DictRow) -> None:
        """Count one group of executions."""
        state, count = State(row["state"]), row["count"]
        self.executions += count
        self.by_status[state.value] += count
        if row["reason_code"]:
            self.by_reason[row["reason_code"]] += count
        if state not in UNDECIDED and state is not State.SKIPPED:
            self.eligible += count
            self.with_order += row["with_order"]
            self.filled += row["filled"]

    @property
    def execution_rate(self) -> float | None:
        """Return the share of eligible executions that have a broker's order id; None when none is eligible."""
        return self.with_order / self.eligible if self.eligible else None

    @property
    def fill_rate(self) -> float | None:
        """Return the share of orders that are filled; None when there is no order."""
        return self.filled / self.with_order if self.with_order else None

    def to_json(self) -> dict[str, Any]:
        """Return the counts with both rates."""
        return {
            "executions": self.executions,
            "eligible": self.eligible,
            "with_order": self.with_order,
            "by_status": dict(self.by_status.most_common()),
            "by_reason": dict(self.by_reason.most_common()),
            "execution_rate": self.execution_rate,
            "fill_rate": self.fill_rate,
        }


def report(record: Record, *, since: datetime | None = None) -> dict[str, Any]:
    """Return the report of the contract. Rates are never summed over modes: with several, the total is null.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> dict[str, Any]:
        key = {"since": since}
        totals = connection.execute(sql("history", "totals"), key).fetchall()
        counts = connection.execute(sql("history", "signal_counts"), key).fetchone()
        latencies = connection.execute(sql("history", "latencies"), key).fetchone()
        assert counts is not None
        assert latencies is not None
        return _report(totals, counts, latencies["percentiles"])

    return record.run(unit)


def _report(totals: Iterable[DictRow], counts: DictRow, percentiles: list[Any] | None) -> dict[str, Any]:
    rows = list(totals)
    everything = ReportTally()
    by_executor: dict[str, dict[str, ReportTally]] = {}
    for row in rows:
        everything.add(row)
        by_executor.setdefault(row["executor_id"], {}).setdefault(row["mode"].value, ReportTally()).add(row)
    modes = {row["mode"] for row in rows}
    oldest = counts["oldest_unfinished_s"]
    p50, p95, p99 = [None if value is None else round(float(value), 1) for value in percentiles or [None] * 3]
    return {
        "signals": counts["signals"],
        "refused": counts["refused"],
        "executions": everything.executions,
        "by_status": dict(everything.by_status.most_common()),
        "by_reason": dict(everything.by_reason.most_common()),
        "by_executor": {
            executor_id: {mode: tally.to_json() for mode, tally in sorted(modes_of.items())}
            for executor_id, modes_of in sorted(by_executor.items())
        },
        "execution_rate": everything.execution_rate if len(modes) <= 1 else None,
        "fill_rate": everything.fill_rate if len(modes) <= 1 else None,
        "oldest_unfinished_s": None if oldest is None else round(float(oldest), 3),
        "latency_ms": {"p50": p50, "p95": p95, "p99": p99},
    }
