"""Record the open orders that cannot be read, so that a person learns of them."""

from collections.abc import Iterable

from psycopg.types.json import Jsonb

from pipeline.model.reasons import storable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.brokers.protocol import UnreadableRow


def note_unreadable(record: Record, executor_id: str, rows: Iterable[UnreadableRow]) -> None:
    """Record *rows*, except those that are `expected`: orders of several legs, which are valid."""
    odd = [{"order_id": storable(row.row_id), "why": storable(row.why)} for row in rows if not row.expected]
    if odd:
        record.do(sql("keeper", "note_unreadable"), {"executor_id": executor_id, "rows": Jsonb(odd)})
