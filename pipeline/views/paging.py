"""Read a list page by page: each page ends with a cursor, from which the next one goes on."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, TypeVar

from pipeline.store.query import Values, fetch_all
from pipeline.store.record import Record

T = TypeVar("T")

_BETWEEN = "~"


class BadCursor(ValueError):
    """The cursor is not one that this list returned."""

    def __init__(self) -> None:
        super().__init__("cursor: it is not a `next_cursor` of this list")


def rows_of(record: Record, row: type[T], statement: LiteralString, values: Values) -> list[T]:
    """Return the rows of a page, and one more if there is another page.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    # Do not prepare the plan: which index is best depends on the given filters.
    return record.run(lambda connection: fetch_all(connection, row, statement, values, prepare=False))


def place(rows: Sequence[T], limit: int, *, at: Callable[[T], tuple[datetime, object]]) -> dict[str, Any]:
    """Return the fields of a page that tell its place in the list; *at* returns the time and the id of a row."""
    # One row more than the limit was read: it shows whether there is another page, without a count of all rows.
    more = len(rows) > limit
    return {"limit": limit, "has_more": more, "next_cursor": _cursor(*at(rows[limit - 1])) if more else None}


def _cursor(moment: datetime, tie: object) -> str:
    place = f"{moment.astimezone(UTC).isoformat()}{_BETWEEN}{tie}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def below(cursor: str | None, tie: Callable[[str], object]) -> dict[str, Any]:
    """Return the parameters of a statement that reads the page after *cursor*; *tie* reads the id in the cursor.

    Raises:
        BadCursor: no list of this kind returned the cursor.
    """
    if cursor is None:
        return {"before": None, "before_id": None}
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, last = text.partition(_BETWEEN)
        # The time in our cursors is in UTC. A cursor that a client made up is read in the same way.
        return {"before": datetime.fromisoformat(moment).replace(tzinfo=UTC), "before_id": tie(last)}
    except ValueError:
        raise BadCursor from None
