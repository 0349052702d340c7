"""A connection with which a test reads and changes the record, without the code under test."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.rows import dict_row


class DirectConnection:
    """A connection of the test itself. It is kept, since a new one costs as much as twenty small statements."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def rows(self, statement: str, values: Any = None) -> list[dict[str, Any]]:
        """Run a statement in a transaction of its own, and return its rows."""
        with self._lock:
            cursor = self._answering().execute(statement.encode(), values)
            # A SELECT without columns returns rows that cannot be fetched, so it would look as if it found nothing.
            assert cursor.description or not statement.lstrip().upper().startswith("SELECT")
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _answering(self) -> psycopg.Connection[dict[str, Any]]:
        """Return the connection; open another one if the test restarted the server meanwhile."""
        if self._connection is not None:
            with suppress(psycopg.OperationalError):
                self._connection.execute("")
                return self._connection
            self._connection.close()
        self._connection = psycopg.connect(self._url, row_factory=dict_row, autocommit=True)
        return self._connection
