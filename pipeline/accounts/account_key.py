"""Name the account that switches, days and budgets belong to: by the broker's number, not by the executor's name."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import fetch_maybe
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _ReadAccount:
    account_number: str


def provisional_key(executor_id: str) -> str:
    """Return the account key of an executor whose account number has not been read yet."""
    return f"executor:{executor_id}"


def account_key_of(connection: Connection[DictRow], executor_id: str) -> str:
    """Return the account number of *executor_id* as last read; the provisional key before the first reading."""
    read = fetch_maybe(connection, _ReadAccount, sql("accounts", "snapshot"), {"executor_id": executor_id})
    return provisional_key(executor_id) if read is None else read.account_number


def account_keys_of(connection: Connection[DictRow], executor_id: str) -> list[str]:
    """Return every key that *executor_id*'s rows may have: its account number, if known, and its provisional key."""
    return sorted({account_key_of(connection, executor_id), provisional_key(executor_id)})
