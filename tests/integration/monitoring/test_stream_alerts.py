"""A stream that is down or brings odd frames is an alert, and a finding of `doctor`."""

from __future__ import annotations

import pytest

from config.schema.executor import Executors
from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.streams import check_streams
from pipeline.monitoring.alerts.stream_conditions import odd_frames, streams_down
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import ExecutionStates, Rows

OPEN_MARKET = """
INSERT INTO account_snapshot (executor_id, account_number, taken_at, account, positions, clock)
VALUES ('argo', 'PA1', now(), '{}', '[]', jsonb_build_object(
    'is_open', true, 'timestamp', now(), 'read_at', now(), 'next_open', now(), 'next_close', now() + interval '1 hour'
))
"""
LISTENING = "INSERT INTO stream (executor_id, state, last_heard_at) VALUES ('argo', 'listening', now() - {age})"
DOWN = (
    "INSERT INTO stream (executor_id, state, problem, problem_at) VALUES ('argo', 'down', 'no answer', now() - {age})"
)


def down(record: Record, executors: Executors) -> list[str]:
    return [alert.subject for alert in record.run(lambda connection: streams_down(connection, executors)).raised]


@pytest.mark.parametrize(
    ("statement", "age", "problem"),
    [
        (LISTENING, "interval '14 seconds'", None),
        (LISTENING, "interval '16 seconds'", "the broker sent nothing"),
        (LISTENING, "interval '25 hours'", None),
        (DOWN, "interval '1 second'", "no answer"),
        (DOWN, "interval '25 hours'", None),
        ("INSERT INTO stream (executor_id, state) VALUES ('argo', 'off')", "", None),
    ],
)
def test_a_stream_that_is_not_heard_is_an_alert_while_the_market_is_open(
    record: Record, rows: Rows, executors: Executors, statement: str, age: str, problem: str | None
) -> None:
    rows(statement.format(age=age))
    assert down(record, executors) == []

    rows(OPEN_MARKET)

    subject = f"the trade-update stream of argo is down, so its orders are polled: {problem}"
    assert down(record, executors) == ([] if problem is None else [subject])
    rows("UPDATE account_snapshot SET clock = clock || jsonb_build_object('next_close', now() - interval '1 second')")
    assert down(record, executors) == []


def test_a_stream_that_is_down_is_an_alert_while_an_order_works(
    record: Record, rows: Rows, executors: Executors, execution_states: ExecutionStates
) -> None:
    rows(DOWN.format(age="interval '0'"))

    execution_states.reached("accepted", order_id="o-1")

    assert len(down(record, executors)) == 1


def test_odd_frames_of_the_last_hour_are_one_alert(record: Record, rows: Rows, executors: Executors) -> None:
    for why, age in (("it names no order", 0), ("its event is unknown", 0), ("long ago", 61)):
        rows(
            "INSERT INTO stream_oddity (executor_id, why, frame, seen_at) "
            f"VALUES ('argo', '{why}', '{{}}', now() - interval '{age} minutes')"
        )

    (alert,) = record.run(lambda connection: odd_frames(connection, executors)).raised

    assert alert.subject.startswith("the trade-update stream of argo sent 2 odd frames, at last because ")


def test_doctor_names_a_stream_that_is_down_while_a_tracker_runs(
    record: Record, rows: Rows, executors: Executors, database_url: str
) -> None:
    rows(DOWN.format(age="interval '0'"))
    assert list(check_streams(record, executors)) == []
    beat = Heartbeat(database_url, kind="tracker", name="tracker")
    try:
        (finding,) = until(lambda: list(check_streams(record, executors)))
        rows("UPDATE stream SET state = 'listening', last_heard_at = now()")
        (healthy,) = check_streams(record, executors)
    finally:
        beat.close()

    assert (finding.name, finding.status, healthy.status) == ("stream argo", CheckStatus.WARNING, CheckStatus.OK)
    assert "no answer" in finding.saw
