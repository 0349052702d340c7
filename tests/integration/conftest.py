"""Fixtures for tests of the record: the record, an intake for two executors, and direct access to the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.intake.intake import Intake
from pipeline.store.record import Record
from tests.factories import executor_toml
from tests.integration.execution_states import ExecutionStates, Rows
from tests.servers import with_database


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """The URL of a database without a schema, for this test alone."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield with_database(postgres_url, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with Record(database_url, connections=24, retry_for_s=5.0) as record:
        yield record


@pytest.fixture
def executors(tmp_path: Path) -> Executors:
    """The executors `argo` and `prop_firm`, with a minimum confidence of 75 and 82."""
    path = tmp_path / "executors.toml"
    path.write_text(executor_toml("argo") + executor_toml("prop_firm", minimum_confidence=82))
    return load_executors(path, settings=Settings(executors=path, home=tmp_path))


@pytest.fixture
def intake(record: Record, executors: Executors) -> Intake:
    return Intake(record, executors, by="test")


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    """Run a statement on a separate connection, without the code under test."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:

        def run(statement: str, values: Any = None) -> list[dict[str, Any]]:
            cursor = connection.execute(statement.encode(), values)
            # A SELECT without columns returns rows that cannot be fetched, so it would look as if it found nothing.
            assert cursor.description or not statement.lstrip().upper().startswith("SELECT")
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def execution_states(intake: Intake, rows: Rows) -> ExecutionStates:
    return ExecutionStates(intake, rows)


@pytest.fixture
def kill(rows: Rows) -> Callable[..., None]:
    """Make an execution a dead letter, as a worker does after its last attempt."""

    def make_dead(execution_id: UUID, code: str = "attempts_used_up", **facts: Any) -> None:
        rows(
            "UPDATE execution SET state = 'submitting', lease_until = now(), due_at = NULL, moved_by = 'test' "
            "WHERE execution_id = %s",
            [execution_id],
        )
        rows(
            "UPDATE execution SET state = 'dead', lease_until = NULL, reason_code = %s, reason_facts = %s, "
            "attempts = 5 WHERE execution_id = %s",
            [code, Jsonb(facts), execution_id],
        )

    return make_dead
