"""Run one statement and return its rows as typed values.

Parameters may hold any text: one that PostgreSQL cannot store is changed (`storable`). A person's terminal and an
assistant send such texts, and an account must be halted whatever stands in the reason.

A row becomes a value of the type that the caller names. A dataclass takes the columns that have the names of its
fields; other columns are ignored. Any other type takes the only column of the row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, LiteralString, TypeVar, Union, get_args, get_origin, get_type_hints

from psycopg import Connection, Cursor
from psycopg.rows import DictRow, RowFactory

from pipeline.model.reasons import storable

T = TypeVar("T")
#: The parameters of a statement, by name.
Values = Mapping[str, Any]
_BATCH = 1000


def fetch_one(
    connection: Connection[DictRow], row: type[T], statement: LiteralString, values: Values | None = None
) -> T:
    """Return the only row of *statement*.

    Raises:
        LookupError: there is no row. Use `fetch_maybe` if that can happen.
    """
    found = fetch_maybe(connection, row, statement, values)
    if found is None:
        raise LookupError(f"no {row.__name__}: the statement returned no row")
    return found


def fetch_maybe(
    connection: Connection[DictRow], row: type[T], statement: LiteralString, values: Values | None = None
) -> T | None:
    """Return the first row of *statement*, or None when there is none."""
    with connection.cursor(row_factory=_factory(row)) as cursor:
        return cursor.execute(statement, _storable(values)).fetchone()


def fetch_all(
    connection: Connection[DictRow],
    row: type[T],
    statement: LiteralString,
    values: Values | None = None,
    *,
    prepare: bool | None = None,
) -> list[T]:
    """Return all rows of *statement*. With *prepare* False, PostgreSQL plans it again for these values."""
    with connection.cursor(row_factory=_factory(row)) as cursor:
        return cursor.execute(statement, _storable(values), prepare=prepare).fetchall()


def stream(
    connection: Connection[DictRow], row: type[T], statement: LiteralString, values: Values | None = None
) -> Iterator[T]:
    """Yield the rows of *statement*, which are read in batches: the memory does not grow with their number."""
    with connection.cursor("rows", row_factory=_factory(row)) as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(statement, _storable(values))


def execute(connection: Connection[DictRow], statement: LiteralString, values: Values | None = None) -> int:
    """Run *statement* and return the number of rows that it changed or returned."""
    return connection.execute(statement, _storable(values)).rowcount


def _storable(values: Values | None) -> Values | None:
    if values is None:
        return None
    # The subclasses of str are enums, which psycopg has to recognise.
    return {name: storable(value) if type(value) is str else value for name, value in values.items()}


def _factory(row: type[T]) -> RowFactory[T]:
    if not is_dataclass(row):
        return lambda _cursor: _only_column
    names = tuple(field.name for field in fields(row))
    enums = _enum_fields(row)

    def factory(cursor: Cursor[Any]) -> Callable[[Sequence[Any]], T]:
        # psycopg also asks for a factory when a statement returns no columns.
        if cursor.description is None:
            return _no_rows
        # The columns' positions are looked up once per statement, not once per row.
        index = {column.name: position for position, column in enumerate(cursor.description)}
        places = [(name, index[name]) for name in names]

        def make(values: Sequence[Any]) -> T:
            found = {name: values[place] for name, place in places}
            for name, enum in enums:
                if found[name] is not None:
                    found[name] = enum(found[name])
            return row(**found)

        return make

    return factory


@cache
def _enum_fields(row: type[Any]) -> tuple[tuple[str, type[StrEnum]], ...]:
    """Return the fields whose type is a StrEnum, with or without None. PostgreSQL stores some of them as text."""
    found = []
    for name, hint in get_type_hints(row).items():
        options = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
        enums = [option for option in options if isinstance(option, type) and issubclass(option, StrEnum)]
        if enums and all(option in {*enums, NoneType} for option in options):
            found.append((name, enums[0]))
    return tuple(found)


def _only_column(values: Sequence[Any]) -> Any:
    (value,) = values
    return value


def _no_rows(values: Sequence[Any]) -> Any:
    raise LookupError(f"the statement returned no columns, and {values!r} cannot be a row of it")
