"""Page through the record, newest first: signals with their executions, executions, refusals."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.json_values import time_json
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow, SignalRow
from pipeline.store.statements import sql
from pipeline.views.json_shapes import execution_json, signal_json

_BETWEEN = "~"


class BadCursor(ValueError):
    """The cursor is not one that this list gave."""

    def __init__(self) -> None:
        super().__init__("cursor: not one that `next_cursor` of this list gave")


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some rows for programs, and where the next page begins."""

    items: list[dict[str, Any]]
    limit: int
    #: What `cursor` must be for the next page; None: there is none.
    next_cursor: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the shape of every page."""
        more = self.next_cursor is not None
        return {"items": self.items, "limit": self.limit, "has_more": more, "next_cursor": self.next_cursor}


def signals(
    record: Record,
    *,
    symbol: str | None = None,
    action: Action | None = None,
    source: str | None = None,
    executor_id: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return signals, each with its executions.

    Raises:
        BadCursor: the cursor is not one of this list.
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"symbol": symbol, "action": action, "source": source, "executor_id": executor_id, "since": since}
    values = key | _below(cursor, UUID) | {"limit": limit + 1}

    def unit(connection: Connection[DictRow]) -> tuple[list[DictRow], list[DictRow]]:
        rows = connection.execute(sql("lists", "signals"), values, prepare=False).fetchall()
        ids = {"signal_ids": [row["signal_id"] for row in rows[:limit]]}
        return rows, connection.execute(sql("executions", "of_signal"), ids).fetchall()

    rows, executions_of = record.run(unit)
    by_signal: dict[UUID, list[dict[str, Any]]] = {}
    for row in map(ExecutionRow.of, executions_of):
        by_signal.setdefault(row.signal_id, []).append(execution_json(row))
    return _page(
        rows,
        limit,
        show=lambda row: signal_json(SignalRow.of(row)) | {"executions": by_signal.get(row["signal_id"], [])},
        at=lambda row: (row["recorded_at"], row["signal_id"]),
    )


def executions(
    record: Record,
    *,
    signal_id: UUID | None = None,
    state: State | None = None,
    executor_id: str | None = None,
    symbol: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return executions.

    Raises:
        BadCursor: the cursor is not one of this list.
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"signal_id": signal_id, "state": state, "executor_id": executor_id, "symbol": symbol, "since": since}
    return _page(
        _rows(record, "executions", key | _below(cursor, _seq) | {"limit": limit + 1}),
        limit,
        show=lambda row: execution_json(ExecutionRow.of(row)),
        at=lambda row: (row["created_at"], row["seq"]),
    )


def execution(record: Record, execution_id: UUID) -> ExecutionRow | None:
    """Return one execution; None when there is none of that id.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    rows = _rows(record, "execution", {"execution_id": execution_id})
    return ExecutionRow.of(rows[0]) if rows else None


def refusals(
    record: Record,
    *,
    source: str | None = None,
    code: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return what was refused because it was no signal; payloads are masked and cut already.

    Raises:
        BadCursor: the cursor is not one of this list.
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"source": source, "code": code, "since": since}
    return _page(
        _rows(record, "refusals", key | _below(cursor, UUID) | {"limit": limit + 1}),
        limit,
        show=_refusal_json,
        at=lambda row: (row["at"], row["refusal_id"]),
    )


def _rows(record: Record, statement: str, values: Mapping[str, Any]) -> list[DictRow]:
    # Never as a prepared plan: which index is right depends on which filters are given.
    return record.run(lambda connection: connection.execute(sql("lists", statement), values, prepare=False).fetchall())


def _page(
    rows: list[DictRow],
    limit: int,
    *,
    show: Callable[[DictRow], dict[str, Any]],
    at: Callable[[DictRow], tuple[datetime, object]],
) -> Page:
    """Show *limit* of *rows*; one more was asked for, which says whether there is another page."""
    shown = rows[:limit]
    cursor = _cursor(*at(shown[-1])) if len(rows) > limit else None
    return Page(items=[show(row) for row in shown], limit=limit, next_cursor=cursor)


def _cursor(moment: datetime, tie: object) -> str:
    place = f"{moment.astimezone(UTC).isoformat()}{_BETWEEN}{tie}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _below(cursor: str | None, tie: Callable[[str], object]) -> dict[str, Any]:
    """Return the place that *cursor* names, as the statements want it.

    Raises:
        BadCursor: it is not one of ours.
    """
    if cursor is None:
        return {"before": None, "before_id": None}
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, last = text.partition(_BETWEEN)
        # Ours are in UTC; whatever else somebody made up is read as if it were.
        return {"before": datetime.fromisoformat(moment).replace(tzinfo=UTC), "before_id": tie(last)}
    except ValueError:
        raise BadCursor from None


def _seq(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError(text)
    return number


def _refusal_json(row: DictRow) -> dict[str, Any]:
    return {
        "refusal_id": str(row["refusal_id"]),
        "at": time_json(row["at"]),
        "source": row["source"],
        "source_id": row["source_id"],
        "code": row["code"],
        "message": row["message"],
        "payload": row["payload"],
    }
