"""Name what switches, days and budgets belong to: the broker's account, not the executor's name."""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.statements import sql


def provisional_key(executor_id: str) -> str:
    """Return the holder of an executor whose account number nobody has read yet."""
    return f"executor:{executor_id}"


def account_key_of(connection: Connection[DictRow], executor_id: str) -> str:
    """Return the account number of *executor_id* as last read; a provisional name before the first reading."""
    row = connection.execute(sql("accounts", "snapshot"), {"executor_id": executor_id}).fetchone()
    return provisional_key(executor_id) if row is None else str(row["account_number"])


def account_keys_of(connection: Connection[DictRow], executor_id: str) -> list[str]:
    """Return every holder whose rows are *executor_id*'s: its account number, if known, and its provisional name."""
    return sorted({account_key_of(connection, executor_id), provisional_key(executor_id)})
