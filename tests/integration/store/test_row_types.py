"""Each row type has the types that PostgreSQL returns for its statement, because mypy cannot check them."""

from __future__ import annotations

import ast
import builtins
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import psycopg

from pipeline.store.statements import sql
from tests.integration.store.test_statements import TYPES, numbered

_ROOT = Path(__file__).parents[3]
#: The functions that take the type of the rows, and right after it the statement.
_READS = {"fetch_one", "fetch_maybe", "fetch_all", "one", "maybe", "all", "rows_of", "stream"}
#: The Python types of PostgreSQL types; a JSON value can have any of several types.
_PYTHON: dict[str, tuple[type, ...]] = {
    "bool": (bool,), "int2": (int,), "int4": (int,), "int8": (int,), "float4": (float,), "float8": (float,),
    "numeric": (Decimal,), "text": (str,), "name": (str,), "varchar": (str,), "uuid": (UUID,), "date": (date,),
    "timestamptz": (datetime,), "interval": (timedelta,), "bytea": (bytes,),
}  # fmt: skip
#: Columns that may be null in their table, but never in the rows of this statement, with the reason.
_NEVER_NULL = {
    ("webhooks.first_of_body", "source_id"): "every delivery that became a signal has one",
    ("webhooks.first_of_signal", "source_id"): "it is searched by it",
    ("lists.reasons", "reason_code"): "IS NOT NULL",
    ("executions.claim", "lease_until"): "the statement sets it",
    ("keeper.candidates", "due_at"): "it is compared with the time",
    ("keeper.mark_due", "due_at"): "it is compared with the time",
    ("keeper.mark_due", "job_id"): "the statement sets it",
    ("keeper.claim_unlisted", "order_id"): "IS NOT NULL",
    ("exit_follow_up.resting", "order_id"): "IS NOT NULL",
    ("reconcile.recorded_orders", "order_id"): "IS NOT NULL",
    ("switches.working_entries", "order_id"): "IS NOT NULL",
    ("alerts.unprotected_positions", "stop_price"): "IS NOT NULL",
    ("protection.unprotected", "stop_price"): "IS NOT NULL",
    ("protection.unprotected", "opened_at"): "a holding with a quantity has one",
    ("protection.in_the_way", "order_id"): "IS NOT NULL",
    ("alerts.busted_fills", "order_id"): "the broker takes back only fills of orders that it has",
    ("alerts.busted_fills", "price"): "only fills with a source other than 'order' are taken back",
    ("fills.of_order", "price"): "the source is not 'order'",
    ("fills.void", "price"): "only fills with a source other than 'order' are taken back",
    ("equity_monitor.record_unreadable", "unreadable_since"): "the statement sets it",
    ("events.after", "event_id"): "it is compared with a number",
    ("events.undelivered", "delivered"): "it is compared with a number",
    ("events.unreported_orders", "event_id"): "it is compared with a number",
}

_COLUMN = """
SELECT t.typname, t.typtype, element.typname, coalesce(NOT a.attnotnull, false)
FROM pg_type AS t
LEFT JOIN pg_type AS element ON element.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_attribute AS a ON a.attrelid = %s AND a.attnum = %s
WHERE t.oid = %s
"""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A place in the code that reads the rows of a statement as values of a type."""

    file: str
    room: str
    name: str
    row: Any


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that a statement returns."""

    type: str
    kind: str
    element: str | None
    may_be_null: bool


def reads() -> Iterator[Read]:
    for path in sorted(path for room in ("pipeline", "workers") for path in (_ROOT / room).rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and _called(call.func) in _READS:
                yield from _reads_of(call, path)


def _reads_of(call: ast.Call, path: Path) -> Iterator[Read]:
    for row, statement in zip(call.args, call.args[1:], strict=False):
        if isinstance(statement, ast.Call) and _called(statement.func) == "sql" and isinstance(row, ast.Name):
            module = importlib.import_module(".".join(path.relative_to(_ROOT).with_suffix("").parts))
            room, name = (argument.value for argument in statement.args if isinstance(argument, ast.Constant))
            found = vars(module).get(row.id) or getattr(builtins, row.id)
            yield Read(file=str(path.relative_to(_ROOT)), room=str(room), name=str(name), row=found)


def _called(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def columns(connection: psycopg.Connection[Any], room: str, name: str) -> dict[str, Column]:
    """Return the columns of a statement from its description, without running it."""
    statement, order = numbered(sql(room, name))
    types = f"({', '.join(TYPES.get(parameter, 'unknown') for parameter in order)})" if order else ""
    with connection.transaction(force_rollback=True):
        connection.execute(f"PREPARE it {types} AS {statement}".encode())
        described = connection.pgconn.describe_prepared(b"it")
        found = {}
        for index in range(described.nfields):
            source = [described.ftable(index), described.ftablecol(index), described.ftype(index)]
            row = connection.execute(_COLUMN, source).fetchone()
            assert row is not None
            found[str(described.fname(index), "utf-8")] = Column(
                type=row[0], kind=row[1], element=row[2], may_be_null=row[3]
            )
        connection.execute("DEALLOCATE it")
    return found


def options(hint: Any) -> Iterator[Any]:
    """Yield the types that a value of *hint* may have."""
    origin = get_origin(hint)
    if origin is Annotated:
        yield from options(get_args(hint)[0])
    elif origin in (Union, UnionType):
        for option in get_args(hint):
            yield from options(option)
    elif origin is Literal:
        yield from {type(value) for value in get_args(hint)}
    else:
        yield hint


def fits(option: Any, column: Column) -> bool:
    """Return whether *option* is a type of the values that psycopg reads from *column*."""
    if option is Any or column.type in ("json", "jsonb"):
        return True
    if column.element is not None:
        return bool(get_origin(option) in (list, tuple) or option is list or str(option).startswith("collections.abc"))
    if column.kind == "e":
        return isinstance(option, type) and issubclass(option, str)
    if not isinstance(option, type):
        return False
    wanted = _PYTHON[column.type]
    # `fetch_*` converts a text to a member of the enumeration that the row type names.
    return option in wanted or (issubclass(option, StrEnum) and str in wanted)


def faults(read: Read, found: dict[str, Column]) -> Iterator[str]:
    hints = get_type_hints(read.row, include_extras=True) if is_dataclass(read.row) else {}
    row = {field.name: hints[field.name] for field in fields(read.row)} if hints else {next(iter(found)): read.row}
    for name, hint in row.items():
        where = f"{read.file} {getattr(read.row, '__name__', read.row)}.{name}, {read.room}.{read.name}"
        if name not in found:
            yield f"{where}: no such column"
            continue
        column, declared = found[name], list(options(hint))
        if not any(fits(option, column) for option in declared if option is not NoneType):
            yield f"{where}: {column.type}, not {hint}"
        takes_null = not hints or NoneType in declared or Any in declared
        if column.may_be_null and not takes_null and (f"{read.room}.{read.name}", name) not in _NEVER_NULL:
            yield f"{where}: may be null"


def test_each_row_type_has_the_types_of_its_statement(database_url: str) -> None:
    wrong = []
    with psycopg.connect(database_url) as connection:
        for read in reads():
            wrong += faults(read, columns(connection, read.room, read.name))
    assert sorted(set(wrong)) == []
