from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.model.errors import NotMigrated, NotPossible, RecordUnavailable
from pipeline.store.migrate import migrate
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import Rows
from tests.integration.store.sessions import end_others, one


def test_an_absent_server_is_logged_once_with_the_reason() -> None:
    port = free_port()
    with Record(f"postgresql://127.0.0.1:{port}/postgres", retry_for_s=0.5) as record, capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(RecordUnavailable, match=f"port {port} failed: Connection refused") as caught:
                record.run(one)
            assert "\n" not in str(caught.value)

    assert [entry["event"] for entry in logs] == ["record.away"]


def test_a_record_that_comes_back_is_logged(database_url: str, rows: Rows) -> None:
    """The server refuses connections to this database for a while, as it does while it starts."""
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    admin = psycopg.connect(psycopg.conninfo.make_conninfo(database_url, dbname="postgres"), autocommit=True)
    with admin, Record(database_url, retry_for_s=10.0) as record, capture_logs() as logs:
        assert record.run(one) == 1
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        end_others(rows)
        asking = threading.Thread(target=record.run, args=(one,), daemon=True)
        asking.start()
        until(lambda: [entry["event"] for entry in logs] == ["record.away"])
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        asking.join(15)

    assert [entry["event"] for entry in logs] == ["record.away", "record.back"]


def test_the_patience_of_one_run_may_be_shorter(database_url: str) -> None:
    with Record(f"postgresql://127.0.0.1:{free_port()}/postgres", retry_for_s=60.0) as record:
        began = time.monotonic()
        with pytest.raises(RecordUnavailable):
            record.run(one, retry_for_s=0.1)
    assert time.monotonic() - began < 30


def test_endless_patience_ends_when_the_process_stops() -> None:
    failures: list[Exception] = []
    with Record(f"postgresql://127.0.0.1:{free_port()}/postgres", retry_for_s=None) as record:

        def ask() -> None:
            try:
                record.run(one)
            except RecordUnavailable as error:
                failures.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        record.stopping.set()
        thread.join(10)

    assert len(failures) == 1


def test_a_database_that_was_not_migrated_is_named_to_people(empty_database_url: str) -> None:
    with (
        Record(empty_database_url, retry_for_s=0.1) as record,
        pytest.raises(NotPossible, match="Run `tradewire migrate`"),
    ):
        record.run(one)


def test_a_waiting_process_goes_on_after_the_migration(empty_database_url: str) -> None:
    with Record(empty_database_url, retry_for_s=None) as record, capture_logs() as logs:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(record.run(one)), daemon=True)
        asking.start()
        until(lambda: logs)
        assert logs[0]["error"] == str(NotMigrated())
        migrate(empty_database_url)
        asking.join(20)

    assert answers == [1]
