"""A database whose clock differs from this machine's."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.execution_states import Rows


def shift_clock(rows: Rows, ahead: timedelta) -> None:
    """Set the clock of new connections to the database *ahead* of this machine's."""
    (row,) = rows("SELECT current_database() AS name")
    rows("CREATE SCHEMA shifted")
    rows(
        "CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        f"$$ SELECT pg_catalog.clock_timestamp() + interval '{ahead.total_seconds()} seconds' $$"
    )
    rows(f'ALTER DATABASE "{row["name"]}" SET search_path = shifted, public, pg_catalog')
