"""Read published events in their order."""

from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.event_schemas import EventRow, EventView


def events_after(record: Record, since: int, *, limit: int) -> list[EventView]:
    """Return the first *limit* published events with a larger id than *since*.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    rows = record.all(EventRow, sql("events", "after"), {"since": since, "limit": limit})
    return [EventView.of(row) for row in rows]
