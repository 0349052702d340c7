"""Count every move of the record once, in batches, from where the last count ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.monitoring.metrics.families import BOUNDS
from pipeline.store.record import Record
from pipeline.store.statements import sql

_BATCH = 20_000

Labels = tuple[str, ...]


@dataclass(kw_only=True)
class Spread:
    """How values are spread over the buckets of `BOUNDS`; the last bucket is above all of them."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


@dataclass(kw_only=True)
class MetricTally:
    """What was counted so far, by labels in the families' order."""

    moves: Counter[Labels] = field(default_factory=Counter)
    decisions: Counter[Labels] = field(default_factory=Counter)
    steps: dict[Labels, Spread] = field(default_factory=dict)
    #: The last move that is in the counts.
    through: int = 0


class Tallies:
    """The counts of the record's whole history: a new process comes to the same ones. Thread-safe."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._tally = MetricTally()

    def count(self, *, within_s: float) -> MetricTally | None:
        """Count what is new; None when there was more than could be counted in the time: call again.

        The result is not to be changed, and is changed by the next call.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        deadline = time.monotonic() + within_s
        with self._lock:
            while self._record.run(self._batch):
                if time.monotonic() > deadline:
                    return None
            return self._tally

    def _batch(self, connection: Connection[DictRow]) -> bool:
        """Count one batch; say whether there are more. Nothing is kept of a unit that did not come to its end."""
        tally = self._tally
        settled = connection.execute(sql("metrics", "settled_before")).fetchone()
        assert settled is not None
        key = {"after": tally.through, "limit": _BATCH, "before": settled["before"]}
        batch = connection.execute(sql("metrics", "batch"), key).fetchone()
        assert batch is not None
        if (batch["newest"] or 0) < tally.through:
            # Another record, or an older copy of it: it has counts of its own.
            self._tally = MetricTally()
            return True
        if batch["through"] is None or batch["through"] <= tally.through:
            return False
        span = {"after": tally.through, "through": batch["through"], "bounds": list(BOUNDS)}
        moves = connection.execute(sql("metrics", "moves"), span).fetchall()
        decisions = connection.execute(sql("metrics", "decisions"), span).fetchall()
        steps = connection.execute(sql("metrics", "steps"), span).fetchall()
        for row in moves:
            tally.moves[row["executor_id"], row["mode"].value, row["state"].value, row["reason"]] += row["count"]
        for row in decisions:
            tally.decisions[row["executor_id"], row["mode"].value, row["outcome"]] += row["count"]
        for row in steps:
            spread = tally.steps.setdefault((row["executor_id"], row["mode"].value, row["step"]), Spread())
            spread.counts[row["bucket"]] += row["count"]
            spread.seconds += row["seconds"]
        tally.through = batch["through"]
        return bool(batch["count"] == _BATCH)
