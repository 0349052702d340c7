"""Read what the record knows of an execution and its symbol before it is decided."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.rows import OrderRow, SignalRow, Taken
from pipeline.store.statements import sql


def prior_order(connection: Connection[DictRow], taken: Taken) -> OrderRow | None:
    """Return the intent of this generation, if there is one."""
    key = {"execution_id": taken.execution_id, "generation": taken.generation}
    row = connection.execute(sql("orders", "of_execution"), key).fetchone()
    return None if row is None else OrderRow.of(row)


def of_symbol(taken: Taken) -> dict[str, Any]:
    """Return the values by which statements find the other orders of the symbol."""
    return {"executor_id": taken.executor_id, "symbol": taken.symbol, "execution_id": taken.execution_id}


def orders_under_way(connection: Connection[DictRow], taken: Taken) -> tuple[OrderRow, ...]:
    """Return the executor's other orders in the symbol that may still fill."""
    rows = connection.execute(sql("orders", "under_way"), of_symbol(taken)).fetchall()
    return tuple(OrderRow.of(row) for row in rows)


def before_look(
    connection: Connection[DictRow], taken: Taken
) -> tuple[SignalRow, OrderRow | None, tuple[OrderRow, ...]]:
    """Return the signal, the intent so far, and what was under way before the broker is asked."""
    row = connection.execute(sql("signals", "get"), {"signal_id": taken.signal_id}).fetchone()
    assert row is not None
    return SignalRow.of(row), prior_order(connection, taken), orders_under_way(connection, taken)
