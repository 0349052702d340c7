"""Keep the settings of executors by their hash, so that the settings behind an execution can be read later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.store.query import execute, fetch_all
from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class KeptSettings:
    """Settings of an executor, by their hash."""

    settings_hash: str
    body: dict[str, Any]


def body_of(executor: ExecutorSettings) -> dict[str, Any]:
    """Return the settings as JSON, as they are compared and kept. They hold no secret: keys are in the environment."""
    return executor.model_dump(mode="json")


def keep(connection: Connection[DictRow], executors: Iterable[ExecutorSettings]) -> None:
    """Keep the settings of *executors* by their hashes."""
    for executor in executors:
        values = {"settings_hash": settings_hash(executor), "executor_id": executor.id}
        execute(connection, sql("settings", "keep"), values | {"body": Jsonb(body_of(executor))})


def bodies(connection: Connection[DictRow], hashes: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the settings that were kept, by their hash; unknown hashes are left out."""
    kept = fetch_all(connection, KeptSettings, sql("settings", "kept"), {"hashes": list(hashes)})
    return {each.settings_hash: each.body for each in kept}


def keep_settings(record: Record, executors: Mapping[str, ExecutorSettings]) -> None:
    """Keep the settings that a process runs with; tries once. Raises RecordUnavailable."""
    record.run(lambda connection: keep(connection, executors.values()), retry_for_s=0.0)
