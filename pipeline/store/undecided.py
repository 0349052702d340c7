"""Count the executions that may have a job in a queue."""

from dataclasses import dataclass

from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _Undecided:
    executor_id: str
    count: int


def undecided(record: Record) -> dict[str, int]:
    """Return how many executions of each executor may have a job in its queue. Raises RecordUnavailable."""
    return {each.executor_id: each.count for each in record.all(_Undecided, sql("executions", "undecided"))}
