"""Count the signals, the reasons and the open work of the record.

Functions that read the record raise RecordUnavailable when PostgreSQL is away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code
from pipeline.model.signals import Action
from pipeline.model.states import UNDECIDED, State
from pipeline.store.processes import living_processes
from pipeline.store.query import fetch_all, fetch_one
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from pipeline.views.count_schemas import OpenCounts, ReasonCount, SignalCounts
from pipeline.views.report import seconds

_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class _SignalGroup:
    source: str
    action: Action
    count: int
    with_confidence: int
    #: The sum of the signals' confidences, in percent; None when no signal has a confidence.
    confidence: Decimal | None
    first: datetime
    last: datetime


@dataclass(frozen=True, kw_only=True)
class _ReasonRow:
    executor_id: str
    mode: Mode
    state: State
    reason_code: str
    count: int


@dataclass(frozen=True, kw_only=True)
class _OpenWork:
    executor_id: str
    state: State
    count: int
    oldest_s: Decimal


@dataclass(frozen=True, kw_only=True)
class _OpenDeadLetters:
    executor_id: str
    count: int


def signal_counts(record: Record, *, since: datetime) -> SignalCounts:
    """Return how many signals were recorded since *since*, from which sources, and how many are still open."""
    key = {"since": since}

    def unit(connection: Connection[DictRow]) -> tuple[list[_SignalGroup], int, int]:
        groups = fetch_all(connection, _SignalGroup, sql("lists", "signal_groups"), key)
        active = fetch_one(connection, int, sql("lists", "open_signals"), key)
        return groups, active, fetch_one(connection, int, sql("lists", "refused"), key)

    groups, active, refused = record.run(unit)
    total = sum(group.count for group in groups)
    return SignalCounts(
        since=since,
        total_signals=total,
        active_signals=active,
        closed_signals=max(total - active, 0),
        refused=refused,
        average_confidence=_average_confidence(groups),
        by_action=_sums((group.action.value, group.count) for group in groups),
        by_source=_sums((group.source, group.count) for group in groups),
        first_recorded_at=min((group.first for group in groups), default=None),
        last_recorded_at=max((group.last for group in groups), default=None),
    )


def _average_confidence(groups: Iterable[_SignalGroup]) -> Decimal | None:
    sums = [(group.confidence, group.with_confidence) for group in groups if group.confidence is not None]
    count = sum(with_confidence for _, with_confidence in sums)
    return (sum((total for total, _ in sums), Decimal(0)) / count).quantize(_HUNDREDTH) if count else None


def reason_counts(record: Record, *, since: datetime) -> list[ReasonCount]:
    """Count why executions recorded since *since* ended in another state than filled; the most frequent come first."""
    # A record of another release may have reasons that this release does not know.
    unknown = {"meaning": None, "remedy": None}
    return [
        ReasonCount.model_validate(vars(row) | unknown | meaning_of(row.reason_code))
        for row in record.all(_ReasonRow, sql("lists", "reasons"), {"since": since})
    ]


def reason_sums(counts: Iterable[ReasonCount]) -> dict[str, int]:
    """Return the counts by reason code over all executors, the most frequent first."""
    return _sums((each.reason_code, each.count) for each in counts)


def meaning_of(reason_code: str | None) -> dict[str, str]:
    """Return the meaning and the remedy of a reason; empty when this release does not know the reason."""
    if reason_code not in set(Code):
        return {}
    meaning = CATALOGUE[Code(reason_code)]
    return {"meaning": meaning.says, "remedy": meaning.remedy}


def open_counts(record: Record) -> dict[str, OpenCounts]:
    """Return the counts of every executor that has open work, dead letters or a running worker."""

    def unit(connection: Connection[DictRow]) -> tuple[list[_OpenWork], list[_OpenDeadLetters], list[str]]:
        work = fetch_all(connection, _OpenWork, sql("lists", "open_work"))
        open_dead = fetch_all(connection, _OpenDeadLetters, sql("lists", "open_dead_letters"))
        return work, open_dead, [process.name for process in living_processes(connection) if process.kind == "worker"]

    work, open_dead, workers = record.run(unit)
    names = sorted({*workers, *(row.executor_id for row in work), *(row.executor_id for row in open_dead)})
    dead_letters = {row.executor_id: row.count for row in open_dead}
    return {
        name: _open_counts(
            [row for row in work if row.executor_id == name],
            workers=workers.count(name),
            dead_letters=dead_letters.get(name, 0),
        )
        for name in names
    }


def nothing_open() -> OpenCounts:
    """Return the counts of an executor that has no open work, no dead letter and no worker."""
    return _open_counts([], workers=0, dead_letters=0)


def _open_counts(work: list[_OpenWork], *, workers: int, dead_letters: int) -> OpenCounts:
    return OpenCounts(
        workers=workers,
        open={state.value: 0 for state in sorted(UNDECIDED)} | {row.state.value: row.count for row in work},
        oldest_unfinished_s=seconds(max((row.oldest_s for row in work), default=None)),
        dead_letters=dead_letters,
    )


# Names with equal sums are in alphabetical order, so that the order does not change between two requests.
def _sums(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, count in counts:
        sums[name] = sums.get(name, 0) + count
    return dict(sorted(sums.items(), key=lambda each: (-each[1], each[0])))
