"""Read whole lists of the record row by row, oldest first, for spreadsheets and other programs."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from io import StringIO
from itertools import islice
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.books.settle import settle
from pipeline.model.json_values import object_json
from pipeline.model.texts import json_text, printable
from pipeline.store.query import Values, execute, stream
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow, Role, SignalRow
from pipeline.store.statements import sql
from pipeline.views.book_schemas import TradeView
from pipeline.views.schemas import ExecutionView, SignalView
from pipeline.views.trades import TradeRow

# So many rows are written at once.
_BATCH = 500
# A spreadsheet takes a text that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Export(StrEnum):
    """A list that can be exported."""

    TRADES = "trades"
    FILLS = "fills"
    EXECUTIONS = "executions"
    ORDERS = "orders"
    SIGNALS = "signals"


@dataclass(frozen=True, kw_only=True)
class ExportedFill:
    """One trade of an order, as the broker reported it."""

    fill_id: str
    executor_id: str
    execution_id: UUID
    order_id: str | None
    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal | None
    filled_at: datetime
    source: str
    recorded_at: datetime
    #: When the broker took it back.
    voided_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ExportedOrder:
    """An order as it was sent, with the broker's report of it."""

    order_id: str | None
    client_order_id: str
    executor_id: str
    execution_id: UUID
    role: Role
    symbol: str
    side: str
    type: str | None
    quantity: Decimal
    filled_quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    order_status: str | None
    leg_of: str | None
    created_at: datetime


Rows = Iterator[Mapping[str, Any]]


def _trades(connection: Connection[DictRow], values: Values) -> Rows:
    return (dict(row.view()) for row in stream(connection, TradeRow, sql("exports", "trades"), values))


def _fills(connection: Connection[DictRow], values: Values) -> Rows:
    return (vars(row) for row in stream(connection, ExportedFill, sql("exports", "fills"), values))


def _executions(connection: Connection[DictRow], values: Values) -> Rows:
    rows = stream(connection, ExecutionRow, sql("exports", "executions"), values)
    return (dict(ExecutionView.model_validate(row)) for row in rows)


def _orders(connection: Connection[DictRow], values: Values) -> Rows:
    return (vars(row) for row in stream(connection, ExportedOrder, sql("exports", "orders"), values))


def _signals(connection: Connection[DictRow], values: Values) -> Rows:
    return (
        dict(SignalView.model_validate(row)) for row in stream(connection, SignalRow, sql("exports", "signals"), values)
    )


# By list, the function that reads its rows, and the columns.
_READERS: dict[Export, tuple[Callable[[Connection[DictRow], Values], Rows], Iterable[str]]] = {
    Export.TRADES: (_trades, TradeView.model_fields),
    Export.FILLS: (_fills, ExportedFill.__dataclass_fields__),
    Export.EXECUTIONS: (_executions, ExecutionView.model_fields),
    Export.ORDERS: (_orders, ExportedOrder.__dataclass_fields__),
    Export.SIGNALS: (_signals, SignalView.model_fields),
}


def export(
    record: Record,
    what: Export,
    write: Callable[[str], None],
    *,
    as_json: bool = False,
    executor_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Write all rows, oldest first, as CSV with a header or as JSON lines; return their number.

    Only some rows are in memory at a time. All are of one moment, and are written only once: an error while they are
    written is not tried again.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    if what is Export.TRADES:
        settle(record)
    values = {"executor_id": executor_id, "since": since, "until": until}
    read, columns = _READERS[what]
    text = _json_lines if as_json else _csv_lines

    def unit(connection: Connection[DictRow]) -> int:
        execute(connection, sql("exports", "no_time_limit"))
        rows, count = read(connection, values), 0
        if not as_json:
            write(_csv_lines([{name: name for name in columns}]))
        while batch := list(islice(rows, _BATCH)):
            write(text(batch))
            count += len(batch)
        return count

    return record.run(unit, retry_for_s=0.0)


def _json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{json_text(object_json(row))}\n" for row in rows)


def _csv_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case Decimal() | datetime() | UUID():
            return str(object_json({"value": value})["value"])
        case list() | tuple():
            return _text(" ".join(value))
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    """Return *text* so that a spreadsheet shows it, and neither it nor a terminal obeys it."""
    return printable(f"'{text}" if text.startswith(_FORMULA) else text)
