"""Count every state change in the record once, in batches. Each count continues where the last one ended."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.states import State
from pipeline.monitoring.metrics.families import BOUNDS
from pipeline.store.query import fetch_all, fetch_one
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql

_BATCH = 20_000

Labels = tuple[str, ...]


@dataclass(kw_only=True)
class Spread:
    """How many values fell into each bucket of `BOUNDS`; the last bucket is above all bounds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    #: The sum of all values.
    seconds: float = 0.0


@dataclass(kw_only=True)
class MetricTally:
    """Everything that was counted so far. The keys are label values, in the order of the metric's `Family.labels`."""

    moves: Counter[Labels] = field(default_factory=Counter)
    decisions: Counter[Labels] = field(default_factory=Counter)
    steps: dict[Labels, Spread] = field(default_factory=dict)
    #: The last change that is in the counts.
    through: int = 0


@dataclass(frozen=True, kw_only=True)
class _Batch:
    #: The last change that may be counted now; None when there is none.
    through: int | None
    #: How many changes follow the counted ones, at most `_BATCH`, with those that are too young to be counted.
    count: int
    #: The last change of the record; None when it has none.
    newest: int | None


@dataclass(frozen=True, kw_only=True)
class _Moves:
    executor_id: str
    mode: Mode
    state: State
    reason: str
    count: int


@dataclass(frozen=True, kw_only=True)
class _Decisions:
    executor_id: str
    mode: Mode
    outcome: str
    count: int


@dataclass(frozen=True, kw_only=True)
class _Step:
    """The steps of one kind that fell into one bucket."""

    executor_id: str
    mode: Mode
    step: str
    bucket: int
    count: int
    seconds: float


class Tallies:
    """The counts of the whole history, so that every new process arrives at the same figures. Thread-safe."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._tally = MetricTally()

    def count(self, *, within_s: float) -> MetricTally | None:
        """Count the new state changes. Return None when *within_s* was too short for them; the next call continues.

        Callers must not change the result. The next call updates the same object.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        deadline = time.monotonic() + within_s
        with self._lock:
            while self._record.run(self._count_batch):
                if time.monotonic() > deadline:
                    return None
            return self._tally

    def _count_batch(self, connection: Connection[DictRow]) -> bool:
        tally = self._tally
        # A transaction that is still open may yet add a change with a smaller number, so the newest changes are counted
        # later.
        settled = fetch_one(connection, datetime, sql("metrics", "settled_before"))
        values = {"after": tally.through, "limit": _BATCH, "before": settled}
        batch = fetch_one(connection, _Batch, sql("metrics", "batch"), values)
        if (batch.newest or 0) < tally.through:
            # The database was replaced, or restored from an older copy. Its counts begin at zero.
            self._tally = MetricTally()
            return True
        if batch.through is None or batch.through <= tally.through:
            return False
        _add(connection, tally, batch.through)
        return batch.count == _BATCH  # A full batch: there may be more.


def _add(connection: Connection[DictRow], tally: MetricTally, through: int) -> None:
    # Everything is read before anything is added, so that a failing statement leaves the counts unchanged.
    span = {"after": tally.through, "through": through, "bounds": list(BOUNDS)}
    moves = fetch_all(connection, _Moves, sql("metrics", "moves"), span)
    decisions = fetch_all(connection, _Decisions, sql("metrics", "decisions"), span)
    steps = fetch_all(connection, _Step, sql("metrics", "steps"), span)
    for move in moves:
        tally.moves[move.executor_id, move.mode.value, move.state.value, move.reason] += move.count
    for decision in decisions:
        tally.decisions[decision.executor_id, decision.mode.value, decision.outcome] += decision.count
    for step in steps:
        spread = tally.steps.setdefault((step.executor_id, step.mode.value, step.step), Spread())
        spread.counts[step.bucket] += step.count
        spread.seconds += step.seconds
    tally.through = through
