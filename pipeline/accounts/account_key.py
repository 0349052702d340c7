"""The account key: the name under which the record keeps an account's switches, days and requests.

It is the account's number at the broker. Until the number has been read it is provisional: `executor:<id>`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.store.query import fetch_maybe
from pipeline.store.statements import sql

# The statements that join switches and requests to executors build the same key.
_PROVISIONAL = "executor:"


@dataclass(frozen=True, kw_only=True)
class _KnownAccount:
    account_number: str


def provisional_key(executor_id: str) -> str:
    """Return the account key of an executor whose account number has not been read yet."""
    return f"{_PROVISIONAL}{executor_id}"


def account_keys(executor_id: str, account_number: str) -> list[str]:
    """Return the keys under which the record may hold rows of *executor_id*'s account."""
    return sorted({account_number, provisional_key(executor_id)})


def number_among(account_keys: Iterable[str]) -> str | None:
    """Return the account number among the keys of one executor; None when it has not been read yet."""
    return next((key for key in account_keys if not key.startswith(_PROVISIONAL)), None)


def account_key_of(connection: Connection[DictRow], executor_id: str) -> str:
    """Return the account number of *executor_id* as last read, or its provisional key before the first reading."""
    known = fetch_maybe(connection, _KnownAccount, sql("accounts", "snapshot"), {"executor_id": executor_id})
    return provisional_key(executor_id) if known is None else known.account_number


def account_keys_of(connection: Connection[DictRow], executor_id: str) -> list[str]:
    """Return the keys under which the record may hold rows of *executor_id*'s account, as last read."""
    return account_keys(executor_id, account_key_of(connection, executor_id))
