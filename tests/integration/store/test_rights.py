"""If a role lacks rights, the error names each right and its table, and work waits until the rights are granted."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from pipeline.entrypoints.doctor.examine import examine
from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.model.errors import MissingRights, RecordFull
from pipeline.store.record import Record
from tests.core_fixtures import Processes
from tests.factories import Core, signal, until
from tests.integration.execution_states import Rows
from tests.waiting import patience

NOTE = "INSERT INTO refusal (refusal_id, source, code, message, payload) VALUES (gen_random_uuid(), 'test', '', '', '')"


@pytest.fixture(autouse=True)
def _nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.failures._logged_at", {})


@pytest.fixture
def clerk(database_url: str, rows: Rows) -> Iterator[str]:
    """A role that has every right, except to write executions and to use refusals."""
    role = f"clerk_{uuid4().hex[:8]}"
    rows(f"CREATE ROLE {role} LOGIN")
    rows(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    rows(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    rows(f"REVOKE INSERT, UPDATE ON execution FROM {role}")
    rows(f"REVOKE ALL ON refusal FROM {role}")
    yield role
    rows("SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE usename = %s", [role])
    rows(f"DROP OWNED BY {role}")
    rows(f"DROP ROLE {role}")


def url_of(role: str, database_url: str) -> str:
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


def test_the_role_the_rights_and_the_tables_are_named(database_url: str, clerk: str) -> None:
    with Record(url_of(clerk, database_url), retry_for_s=0.1) as record, pytest.raises(MissingRights) as caught:
        record.do(NOTE)

    said = str(caught.value)
    assert "permission denied for table refusal" in said
    assert f"the role {clerk} lacks SELECT, INSERT, UPDATE, DELETE on refusal; INSERT, UPDATE on execution." in said
    assert f"TO {clerk}" in said
    assert "\n" not in said


def test_work_waits_until_the_right_is_granted(database_url: str, clerk: str, rows: Rows) -> None:
    with Record(url_of(clerk, database_url), retry_for_s=patience(10)) as record, capture_logs() as logs:
        tries = []

        def unit(connection: psycopg.Connection[psycopg.rows.DictRow]) -> None:
            tries.append(1)
            if len(tries) == 4:
                rows(f"GRANT ALL ON refusal TO {clerk}")
            connection.execute(NOTE)

        record.run(unit)

    assert rows("SELECT source FROM refusal") == [{"source": "test"}]
    assert [(entry["event"], clerk in entry["error"]) for entry in logs] == [("record.refuses", True)]


def test_processes_and_commands_end_with_exit_code_2_and_say_which_right_is_missing(
    core: Core, processes: Processes, clerk: str
) -> None:
    url = url_of(clerk, core.database_url)
    commands = (("work", "argo"), ("keep",), ("produce",), ("report",))
    started = [processes.start(core, *command, DATABASE_URL=url, TRADEWIRE_SOURCE="none") for command in commands]

    for process in started:
        assert process.wait(patience(15)) == 2, processes.said(process)
        said = processes.said(process)
        assert f"the role {clerk} lacks" in said
        assert "INSERT, UPDATE on execution" in said
        assert "Traceback" not in said


def test_doctor_names_them(core: Core, clerk: str) -> None:
    known = {"redis_url": SecretStr(core.redis_url), "database_url": SecretStr(url_of(clerk, core.database_url))}

    found = examine(core.settings.model_copy(update=known), core.executors)[0]

    assert (found.name, found.status) == ("postgresql", CheckStatus.CRITICAL)
    assert f"the role {clerk} lacks" in found.saw


def test_an_execution_waits_in_the_record_while_the_worker_lacks_a_right(
    core: Core, processes: Processes, clerk: str, rows: Rows
) -> None:
    rows(f"GRANT ALL ON execution, refusal TO {clerk}")
    process = processes.start(core, "work", "argo", DATABASE_URL=url_of(clerk, core.database_url))
    until(lambda: "worker.started" in processes.said(process))
    rows(f"REVOKE INSERT ON broker_order FROM {clerk}")
    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])
    until(lambda: f"the role {clerk} lacks INSERT on broker_order" in processes.said(process))
    assert core.execution(row.execution_id)["state"] == "submitting"

    rows(f"GRANT INSERT ON broker_order TO {clerk}")

    until(lambda: core.execution(row.execution_id)["order_id"])
    assert len(core.orders()) == 1


def test_a_full_disk_of_postgresql_is_said(database_url: str) -> None:
    full = "DO $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$"
    with Record(database_url, retry_for_s=0.1) as record, capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(RecordFull, match="disk of PostgreSQL is full"):
                record.do(full)
            assert record.one(int, "SELECT 1") == 1

    assert [entry["event"] for entry in logs] == ["record.refuses"]
