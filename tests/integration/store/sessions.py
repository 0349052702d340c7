"""Run statements on a connection of the record, and end all other connections."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from tests.integration.execution_states import Rows


def one(connection: Connection[DictRow]) -> Any:
    row = connection.execute("SELECT 1 AS one").fetchone()
    return row["one"] if row else None


def end_others(rows: Rows) -> int:
    """Terminate every other connection to this database, as a restart does."""
    ended = rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return len(ended)
