"""Remove old details from the record, in small transactions.

Rows that guard the money stay for ever: signals with (source, source_id) and content hash, executions with their ids,
orders with their ids, and fills with theirs. So a signal that is sent again years later is still recognised as the same
one, and so is a fill that the broker reports again.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql

# The rows of one transaction: few enough that no worker waits long for one of them.
_BATCH = 1000
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """The number of rows that were removed, or would be."""

    #: Executions whose steps and attempts were removed.
    executions: int
    steps: int
    attempts: int
    #: Input that was not a signal.
    refusals: int
    deliveries: int
    #: Events that other programs could follow.
    events: int

    def to_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Pruned:
    executions: int
    steps: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class _Others:
    refusals: int
    deliveries: int
    events: int


def remove_details(
    record: Record, *, before: datetime, dry_run: bool = False, batch: int = _BATCH, has_receiver: bool = False
) -> Removed:
    """Remove details older than *before*; with *dry_run* only count them. After an interruption, the next call goes on.

    An execution keeps its details while its order, dead letter or position is open, or its account is being flattened.
    With *has_receiver*, the events stay that the receiver of events has not taken.

    Raises:
        RecordUnavailable: PostgreSQL is away; the details that were removed so far stay removed.
    """
    pruned = [_prune(record, window, dry_run=dry_run) for window in _windows(record, before, batch)]
    key = {"before": before, "limit": batch, "has_receiver": has_receiver}
    if dry_run:
        others = record.one(_Others, sql("retention", "count_others"), key)
    else:
        others = _Others(
            refusals=_delete_all(record, sql("retention", "prune_refusals"), key),
            deliveries=_delete_all(record, sql("retention", "prune_refused_deliveries"), key),
            events=_delete_all(record, sql("retention", "prune_events"), key),
        )
    return Removed(
        executions=sum(each.executions for each in pruned),
        steps=sum(each.steps for each in pruned),
        attempts=sum(each.attempts for each in pruned),
        refusals=others.refusals,
        deliveries=others.deliveries,
        events=others.events,
    )


def _windows(record: Record, before: datetime, batch: int) -> Iterator[dict[str, Any]]:
    """Yield spans of recording times, the oldest first. All executions of one moment are in one span."""
    after = _FIRST
    while True:
        key = {"after": after, "before": before, "limit": batch}
        through = record.maybe(datetime, sql("retention", "through"), key)
        if through is None:
            return
        yield {"after": after, "through": through, "before": before}
        after = through


def _prune(record: Record, window: dict[str, Any], *, dry_run: bool) -> _Pruned:
    def unit(connection: Connection[DictRow]) -> _Pruned:
        pruned = fetch_one(connection, _Pruned, sql("retention", "prune_executions"), window)
        if dry_run:
            connection.rollback()
        return pruned

    return record.run(unit)


def _delete_all(record: Record, statement: LiteralString, key: dict[str, Any]) -> int:
    total = 0
    while deleted := record.do(statement, key):
        total += deleted
    return total
