"""Compute how long each exit waited from its recording to its decision, by what the history shows. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from pipeline.entrypoints.drill.ledgers import AuditedExecution, HistoryRow
from pipeline.model.reasons import Code
from pipeline.model.states import UNDECIDED, State

#: No exit may wait longer than this.
LONGEST_WAIT_S = 15.0
#: Holds that the broker causes, and for how long each may last. What is held for longer waits for tradewire.
_BROKER_HOLDS = {
    Code.BROKER_AWAY: timedelta(seconds=5),
    Code.ACCOUNT_UNREADABLE: timedelta(seconds=5),
    Code.CLOCK_UNREADABLE: timedelta(seconds=5),
    Code.RATE_LIMITED: timedelta(seconds=5),
    Code.BROKER_REFUSES_ACCOUNT: timedelta(seconds=60),
    Code.MARKET_CLOSED: timedelta.max,
}

_Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class ExitWait:
    """How long an exit waited, without the time in which it could not be decided."""

    execution_id: UUID
    seconds: float
    #: The time that was left out.
    excused_s: float
    is_decided: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return it with rounded times."""
        times = {"seconds": round(self.seconds, 2), "excused_s": round(self.excused_s, 2)}
        return {"execution_id": str(self.execution_id), **times, "decided": self.is_decided}


def exit_waits(executions: Sequence[AuditedExecution], history: Sequence[HistoryRow]) -> list[ExitWait]:
    """Return the wait of each execution that closes, the longest first. *executions* are in the order of `seq`.

    Left out is the time in which an order may have been at the broker, a dead worker's lease, a hold that the broker
    caused, a closed market, and each of these of an earlier execution of the same symbol. An exit that has no decision
    counts up to its last state change.
    """
    rows: dict[UUID, list[HistoryRow]] = {}
    for row in history:
        rows.setdefault(row.execution_id, []).append(row)
    excused: dict[tuple[str, str], list[_Span]] = {}
    waits = []
    for execution in executions:
        changes = _until_decided(rows.get(execution.execution_id, []))
        # Those of earlier executions of the symbol stay in the list.
        spans = excused.setdefault((execution.executor_id, execution.symbol), [])
        spans += _excused(changes)
        if execution.closes and changes:
            waits.append(_wait(execution.execution_id, changes, spans))
    return sorted(waits, key=lambda wait: wait.seconds, reverse=True)


def _wait(execution_id: UUID, changes: Sequence[HistoryRow], spans: Iterable[_Span]) -> ExitWait:
    begins, ends = changes[0].at, changes[-1].at
    left_out = _covered(spans, begins, ends)
    return ExitWait(
        execution_id=execution_id,
        seconds=(ends - begins - left_out).total_seconds(),
        excused_s=left_out.total_seconds(),
        is_decided=changes[-1].to_state not in UNDECIDED,
    )


def _until_decided(rows: Sequence[HistoryRow]) -> list[HistoryRow]:
    """Return the changes up to the first decision."""
    found = []
    for row in rows:
        found.append(row)
        if row.to_state not in UNDECIDED:
            break
    return found


def _excused(changes: Sequence[HistoryRow]) -> list[_Span]:
    """Return the spans in which the execution itself could not be decided."""
    spans = []
    for row, after in pairwise(changes):
        longest = _longest(row, after)
        if longest is not None:
            spans.append((row.at, min(after.at, row.at + min(longest, after.at - row.at))))
    return spans


def _longest(row: HistoryRow, after: HistoryRow) -> timedelta | None:
    """Return for how long the state that *row* began may last without counting; None when all of it counts."""
    holds: Mapping[str, timedelta] = _BROKER_HOLDS
    if row.to_state is State.UNKNOWN:
        return timedelta.max
    if row.to_state is State.HELD:
        return holds.get(row.reason_code or "")
    if row.to_state is State.SUBMITTING:
        # The worker died, or the broker did not answer it.
        excused = after.to_state in (State.UNKNOWN, State.QUEUED) or (after.reason_code or "") in holds
        return timedelta.max if excused else None
    return None


def _covered(spans: Iterable[_Span], begins: datetime, ends: datetime) -> timedelta:
    """Return how much of the time from *begins* to *ends* the *spans* cover together."""
    covered = timedelta(0)
    for first, last in sorted(spans):
        first, last = max(first, begins), min(last, ends)  # noqa: PLW2901 -- the part that counts
        if last > first:
            covered += last - first
            begins = last
    return covered
