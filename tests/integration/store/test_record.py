from __future__ import annotations

import threading
from typing import Any

import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.signals import Action, Intent
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import Mode, Role
from tests.factories import until
from tests.integration.execution_states import Rows
from tests.integration.store.sessions import end_others, one

NOTE = "INSERT INTO refusal (refusal_id, source, code, message, payload) VALUES (%s, 'test', '', '', '')"


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
    # The first run's connection was lost, and its statements with it.
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
            until(lambda: not rows("SELECT pid FROM pg_stat_activity WHERE pid = %s", [pid]))
            one(connection)
        return True

    assert record.run(unit)
    assert len(runs) == 2
    assert rows("SELECT count(*) AS n FROM refusal") == [{"n": 1}]


def test_a_connection_found_closed_after_the_last_statement_is_no_success(record: Record, rows: Rows) -> None:
    """The server closed the connection right after its answer, so nothing was committed."""
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
    assert rows("SELECT code FROM refusal") == []


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

        # PostgreSQL finds a deadlock after a second, when the time for repeats is over.
        record.run(unit, retry_for_s=0.5)

    threads = [threading.Thread(target=lock, args=pair, daemon=True) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(runs) == 3
    assert {"".join(sorted(row["message"])) for row in rows("SELECT message FROM refusal")} == {"12"}


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
