"""Compute from the history how long each exit waited from its recording to its decision. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

from pipeline.entrypoints.drill.ledgers import HistoryRow, Ledgers
from pipeline.model.reasons import Code
from pipeline.model.states import UNDECIDED, State

#: Seconds. An exit that waits longer is a finding.
LONGEST_WAIT_S = 15.0
#: Holds that the broker causes, and how much of each is excused. The rest of a longer hold counts as waiting.
_BROKER_HOLDS: Mapping[str, timedelta] = {
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
    #: Seconds that are not counted, because of the broker, a dead worker, or an order that may be at the broker.
    excused_s: float
    #: Seconds that are not counted because there was nothing to close: the entry before the exit was not sent yet.
    nothing_to_close_s: float = 0.0
    is_decided: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the wait as JSON, with rounded times."""
        names = ("seconds", "excused_s", "nothing_to_close_s")
        times = {name: round(getattr(self, name), 2) for name in names}
        return {"execution_id": str(self.execution_id), **times, "decided": self.is_decided}


@dataclass(kw_only=True)
class _Symbol:
    """The state that the earlier executions of a symbol at an executor leave for the next execution."""

    excused: list[_Span] = field(default_factory=list)
    #: The spans in which an entry waited to be sent while nothing was held.
    nothing_to_close: list[_Span] = field(default_factory=list)
    #: The position: the sum of the fills of these executions.
    held: Decimal = Decimal(0)


def exit_waits(ledgers: Ledgers) -> list[ExitWait]:
    """Return the wait of each exit that had something to close, the longest first.

    Time does not count while

    - an order may be at the broker;
    - the exit waits for a dead worker's lease, for a hold that the broker caused, or for the market to open;
    - an earlier execution of the same symbol waits for any of these;
    - nothing is held, because an earlier entry has not been sent yet.

    The wait of an exit without a decision ends at its last state change.
    """
    rows: dict[UUID, list[HistoryRow]] = defaultdict(list)
    for row in ledgers.history:
        rows[row.execution_id].append(row)
    fills: dict[UUID, Decimal] = defaultdict(Decimal)
    for intent in ledgers.intents:
        fills[intent.execution_id] += intent.filled_quantity if intent.side == "buy" else -intent.filled_quantity
    symbols: dict[tuple[str, str], _Symbol] = defaultdict(_Symbol)
    waits = []
    for execution in ledgers.executions:
        changes = _until_decided(rows[execution.execution_id])
        symbol = symbols[execution.executor_id, execution.symbol]
        symbol.excused += _excused(changes)
        if execution.closes:
            # Without a position from earlier executions, there was nothing to close.
            waits += [_wait(execution.execution_id, changes, symbol)] if symbol.held and changes else []
        elif changes and not symbol.held:
            symbol.nothing_to_close.append((changes[0].at, changes[-1].at))
        symbol.held += fills[execution.execution_id]
    return sorted(waits, key=lambda wait: wait.seconds, reverse=True)


def _wait(execution_id: UUID, changes: Sequence[HistoryRow], symbol: _Symbol) -> ExitWait:
    begins, ends = changes[0].at, changes[-1].at
    excused = _covered(symbol.excused, begins, ends)
    left_out = _covered([*symbol.excused, *symbol.nothing_to_close], begins, ends)
    return ExitWait(
        execution_id=execution_id,
        seconds=(ends - begins - left_out).total_seconds(),
        excused_s=excused.total_seconds(),
        nothing_to_close_s=(left_out - excused).total_seconds(),
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
    """Return how much of the time in the state that *row* began is excused at most; None when all of it counts."""
    if row.to_state is State.UNKNOWN:
        return timedelta.max
    if row.to_state is State.HELD:
        return _BROKER_HOLDS.get(row.reason_code or "")
    if row.to_state is State.SUBMITTING:
        # The worker died, or the broker did not answer it or caused the hold that followed.
        excused = after.to_state in (State.UNKNOWN, State.QUEUED) or (after.reason_code or "") in _BROKER_HOLDS
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
