"""Page through the record, newest first: signals with their executions, executions, refusals, deliveries.

Functions raise RecordUnavailable when PostgreSQL is away, and BadCursor for a cursor that they cannot read.
"""

from datetime import datetime
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.store.query import fetch_all
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow, SignalRow
from pipeline.store.statements import sql
from pipeline.views.history_schemas import DeliveryPage, DeliveryRow, DeliveryView
from pipeline.views.paging import below, place, rows_of
from pipeline.views.schemas import ExecutionView, ListedSignal, Page, RefusalView


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
) -> Page[ListedSignal]:
    """Return signals, each with its executions."""
    key = {"symbol": symbol, "action": action, "source": source, "executor_id": executor_id, "since": since}
    values = key | below(cursor, UUID) | {"limit": limit + 1}

    def unit(connection: Connection[DictRow]) -> tuple[list[SignalRow], list[ExecutionRow]]:
        rows = fetch_all(connection, SignalRow, sql("lists", "signals"), values, prepare=False)
        # A row beyond *limit* only shows that there is another page.
        ids = {"signal_ids": [row.signal_id for row in rows[:limit]]}
        return rows, fetch_all(connection, ExecutionRow, sql("executions", "of_signal"), ids)

    rows, executions_of = record.run(unit)
    by_signal: dict[UUID, list[ExecutionRow]] = {}
    for row in executions_of:
        by_signal.setdefault(row.signal_id, []).append(row)
    return Page(
        items=[ListedSignal.of(row, by_signal.get(row.signal_id, [])) for row in rows[:limit]],
        **place(rows, limit, at=lambda row: (row.recorded_at, row.signal_id)),
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
) -> Page[ExecutionView]:
    """Return executions."""
    key = {"signal_id": signal_id, "state": state, "executor_id": executor_id, "symbol": symbol, "since": since}
    rows = rows_of(record, ExecutionRow, sql("lists", "executions"), key | below(cursor, _seq) | {"limit": limit + 1})
    return Page(
        items=[ExecutionView.model_validate(row) for row in rows[:limit]],
        **place(rows, limit, at=lambda row: (row.created_at, row.seq)),
    )


def execution(record: Record, execution_id: UUID) -> ExecutionRow | None:
    """Return one execution; None when there is none with this id."""
    return record.maybe(ExecutionRow, sql("lists", "execution"), {"execution_id": execution_id})


def refusals(
    record: Record,
    *,
    source: str | None = None,
    code: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[RefusalView]:
    """Return the input that was refused because it was not a signal."""
    key = {"source": source, "code": code, "since": since}
    rows = rows_of(record, RefusalView, sql("lists", "refusals"), key | below(cursor, UUID) | {"limit": limit + 1})
    return Page(items=rows[:limit], **place(rows, limit, at=lambda row: (row.at, row.refusal_id)))


def deliveries(
    record: Record,
    *,
    refused: bool = False,
    webhook: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    before: int | None = None,
) -> DeliveryPage:
    """Return the deliveries to webhooks; *before* is the `next_cursor` of the previous page."""
    key = {"refused": refused, "webhook": webhook, "since": since, "before": before, "limit": limit + 1}
    rows = rows_of(record, DeliveryRow, sql("webhooks", "list"), key)
    more = len(rows) > limit
    items = [DeliveryView.model_validate(row) for row in rows[:limit]]
    return DeliveryPage(items=items, limit=limit, has_more=more, next_cursor=rows[limit - 1].seq if more else None)


def _seq(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError(text)
    return number
