from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow
from structlog.testing import capture_logs

from pipeline.embedded.addresses import free_port
from pipeline.errors import NotMigrated, NotPossible, RecordUnavailable
from pipeline.signals import Action, Intent
from pipeline.states import State
from pipeline.store.migrate import migrate
from pipeline.store.record import Record
from pipeline.store.rows import Mode, Role
from tests.factories import until
from tests.integration.lives import Rows

NOTE = "INSERT INTO refusal (refusal_id, source, code, message, payload) VALUES (%s, 'test', '', '', '')"


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


def test_a_connection_that_was_ended_is_replaced(record: Record, rows: Rows) -> None:
    assert record.run(one) == 1

    assert end_others(rows) >= 1

    assert record.run(one) == 1


def test_a_unit_whose_connection_ends_in_the_middle_is_run_again(record: Record, rows: Rows) -> None:
    runs = []

    def unit(connection: Connection[DictRow]) -> Any:
        runs.append(1)
        connection.execute(NOTE, [f"00000000-0000-0000-0000-00000000000{len(runs)}"])
        if len(runs) == 1:
            end_others(rows)
        return one(connection)

    assert record.run(unit) == 1
    assert len(runs) == 2
    # What the first run wrote went with its connection.
    assert rows("SELECT right(refusal_id::text, 1) AS run FROM refusal") == [{"run": "2"}]


def test_a_unit_whose_commit_was_done_and_not_answered_is_run_again_and_comes_to_the_same_end(
    record: Record, rows: Rows
) -> None:
    runs = []

    def unit(connection: Connection[DictRow]) -> bool:
        runs.append(1)
        connection.execute(f"{NOTE} ON CONFLICT DO NOTHING", ["00000000-0000-0000-0000-000000000001"])
        if len(runs) == 1:
            connection.commit()
            pid = connection.info.backend_pid
            rows("SELECT pg_terminate_backend(%s)", [pid])
            until(lambda: not rows("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]))
            one(connection)
        return True

    assert record.run(unit)
    assert len(runs) == 2
    assert rows("SELECT count(*) AS n FROM refusal") == [{"n": 1}]


def test_a_connection_found_closed_after_the_last_statement_is_no_success(record: Record, rows: Rows) -> None:
    """The server ended it right behind its answer, and nothing was committed."""
    runs = []

    def unit(connection: Connection[DictRow]) -> None:
        runs.append(1)
        connection.execute(NOTE, ["00000000-0000-0000-0000-000000000001"])
        if len(runs) == 1:
            connection.close()

    record.run(unit)
    assert len(runs) == 2
    assert rows("SELECT count(*) AS n FROM refusal") == [{"n": 1}]


def test_a_failure_of_ours_is_not_tried_again_and_leaves_nothing(record: Record, rows: Rows) -> None:
    runs = []

    def unit(connection: Connection[DictRow]) -> None:
        runs.append(1)
        connection.execute(NOTE, ["00000000-0000-0000-0000-000000000001"])
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        record.run(unit)
    assert len(runs) == 1
    assert rows("SELECT FROM refusal") == []


def test_a_deadlock_is_run_again(record: Record, rows: Rows) -> None:
    rows(NOTE, ["00000000-0000-0000-0000-000000000001"])
    rows(NOTE, ["00000000-0000-0000-0000-000000000002"])
    both_have_one = threading.Barrier(2)
    runs: list[int] = []

    def lock(first: int, second: int) -> None:
        def unit(connection: Connection[DictRow]) -> None:
            runs.append(first)
            for place, number in enumerate((first, second)):
                connection.execute(
                    "UPDATE refusal SET message = message || %s WHERE refusal_id = %s",
                    [str(first), f"00000000-0000-0000-0000-00000000000{number}"],
                )
                if place == 0 and runs.count(first) == 1:
                    both_have_one.wait(10)

        record.run(unit)

    threads = [threading.Thread(target=lock, args=pair, daemon=True) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(runs) == 3
    assert {"".join(sorted(row["message"])) for row in rows("SELECT message FROM refusal")} == {"12"}


def test_an_absent_server_is_said_once_and_with_its_reason() -> None:
    port = free_port()
    with Record(f"postgresql://127.0.0.1:{port}/postgres", patience_s=0.5) as record, capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(RecordUnavailable, match=f"port {port} failed: Connection refused") as caught:
                record.run(one)
            assert "\n" not in str(caught.value)

    assert [entry["event"] for entry in logs] == ["record.away"]


def test_a_record_that_comes_back_is_said(database_url: str, rows: Rows) -> None:
    """The server refuses this database for a while, as one does that starts."""
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    admin = psycopg.connect(psycopg.conninfo.make_conninfo(database_url, dbname="postgres"), autocommit=True)
    with admin, Record(database_url, patience_s=10.0) as record, capture_logs() as logs:
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
    with Record(f"postgresql://127.0.0.1:{free_port()}/postgres", patience_s=60.0) as record:
        began = time.monotonic()
        with pytest.raises(RecordUnavailable):
            record.run(one, patience_s=0.1)
    assert time.monotonic() - began < 30


def test_endless_patience_ends_when_the_process_stops() -> None:
    failures: list[Exception] = []
    with Record(f"postgresql://127.0.0.1:{free_port()}/postgres", patience_s=None) as record:

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
        Record(empty_database_url, patience_s=0.1) as record,
        pytest.raises(NotPossible, match="run `tradewire migrate`"),
    ):
        record.run(one)


def test_a_process_that_waits_goes_on_when_somebody_migrates(empty_database_url: str) -> None:
    with Record(empty_database_url, patience_s=None) as record, capture_logs() as logs:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(record.run(one)), daemon=True)
        asking.start()
        until(lambda: logs)
        assert logs[0]["error"] == str(NotMigrated())
        migrate(empty_database_url)
        asking.join(20)

    assert answers == [1]


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("execution_state", State.PARTIALLY_FILLED),
        ("signal_action", Action.BUY),
        ("signal_intent", Intent.AUTO),
        ("executor_mode", Mode.LIVE),
        ("order_role", Role.EXIT),
    ],
)
def test_our_words_come_back_as_our_words(record: Record, name: str, member: object) -> None:
    row = record.run(lambda connection: connection.execute(f"SELECT %s::{name} AS it".encode(), [member]).fetchone())

    assert row is not None
    assert row["it"] is member


def test_a_session_is_bounded_durable_and_in_utc(record: Record) -> None:
    names = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "synchronous_commit",
        "timezone",
    )

    def unit(connection: Connection[DictRow]) -> list[str]:
        return [connection.execute(f"SHOW {name}".encode()).fetchone().popitem()[1] for name in names]  # type: ignore[union-attr]

    assert record.run(unit) == ["10s", "5s", "5s", "on", "UTC"]


def test_a_connection_given_back_is_in_no_transaction(record: Record, rows: Rows) -> None:
    record.run(one)

    idle = rows("SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    assert {row["state"] for row in idle} == {"idle"}
