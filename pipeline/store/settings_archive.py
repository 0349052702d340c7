"""Keep the settings of executors in the record by their hash, so that an execution's hash can be read later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.store.record import Record
from pipeline.store.statements import sql


def body_of(executor: ExecutorSettings) -> dict[str, Any]:
    """Return the settings as JSON, as they are compared and kept. They hold no secret: keys are in the environment."""
    return executor.model_dump(mode="json")


def keep(connection: Connection[DictRow], executors: Iterable[ExecutorSettings]) -> None:
    """Write down what the hashes of *executors* mean."""
    for executor in executors:
        values = {
            "settings_hash": settings_hash(executor),
            "executor_id": executor.id,
            "body": Jsonb(body_of(executor)),
        }
        connection.execute(sql("settings", "keep"), values)


def bodies(connection: Connection[DictRow], hashes: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return what is kept of *hashes*; one that nobody kept is left out."""
    rows = connection.execute(sql("settings", "kept"), {"hashes": list(hashes)}).fetchall()
    return {row["settings_hash"]: row["body"] for row in rows}


def keep_settings(record: Record, executors: Mapping[str, ExecutorSettings]) -> None:
    """Write down what a process runs with; asks once, without patience.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    record.run(lambda connection: keep(connection, executors.values()), retry_for_s=0.0)
