from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from pipeline.monitoring.heartbeats import Heartbeat, release
from pipeline.store.migrate import migrate
from pipeline.store.processes import GONE_AFTER
from pipeline.store.record import Record
from pipeline.store.statements import sql
from tests.factories import until
from tests.integration.execution_states import Rows


def living(record: Record, within: timedelta = GONE_AFTER) -> list[dict[str, Any]]:
    return record.run(lambda connection: connection.execute(sql("heartbeats", "living"), {"within": within}).fetchall())


def test_a_process_is_seen_while_it_lives_and_not_after_it_ended(database_url: str, record: Record) -> None:
    heartbeat = Heartbeat(database_url, kind="worker", name="argo")

    (row,) = until(lambda: living(record))
    assert (row["kind"], row["name"], row["pid"], row["healthy"], row["facts"]) == (
        "worker",
        "argo",
        os.getpid(),
        True,
        {"version": release()},
    )
    heartbeat.close()
    assert living(record) == []


def test_it_beats_again_and_says_how_it_is(database_url: str, record: Record) -> None:
    says = [(True, {"leads": True}), (False, {"late": {"sweep": 20}})]
    heartbeat = Heartbeat(
        database_url, kind="keeper", name="keeper", health=lambda: says.pop(0) if len(says) > 1 else says[0]
    )

    first = until(lambda: living(record))[0]
    second = until(lambda: [row for row in living(record) if row["beat_at"] > first["beat_at"]])[0]
    heartbeat.close()

    assert (first["healthy"], second["healthy"], second["facts"]["late"]) == (True, False, {"sweep": 20})
    assert second["started_at"] == first["started_at"]


def test_a_process_that_died_without_a_word_is_soon_not_among_the_living(rows: Rows, record: Record) -> None:
    rows(
        "INSERT INTO heartbeat (process_id, kind, name, host, pid, beat_at) "
        "VALUES (gen_random_uuid(), 'worker', 'argo', 'here', 1, now() - %s - interval '1 second')",
        [GONE_AFTER],
    )

    assert living(record) == []
    assert len(living(record, within=timedelta(minutes=1))) == 1


def test_a_process_that_starts_forgets_those_that_died_long_ago(database_url: str, rows: Rows) -> None:
    for age in ("59 minutes", "61 minutes"):
        rows(
            "INSERT INTO heartbeat (process_id, kind, name, host, pid, beat_at) "
            "VALUES (gen_random_uuid(), 'worker', %s, 'here', 1, now() - %s::interval)",
            [age, age],
        )

    heartbeat = Heartbeat(database_url, kind="worker", name="new")
    until(lambda: {row["name"] for row in rows("SELECT name FROM heartbeat")} == {"59 minutes", "new"})
    heartbeat.close()


def test_it_waits_for_a_database_that_is_not_migrated_yet(empty_database_url: str) -> None:
    heartbeat = Heartbeat(empty_database_url, kind="worker", name="early")
    migrate(empty_database_url)

    with Record(empty_database_url) as record:
        until(lambda: living(record))
    heartbeat.close()
