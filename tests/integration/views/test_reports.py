from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.intake.intake import Intake
from pipeline.model.errors import InvalidSignal
from pipeline.store.record import Record
from pipeline.views.report import report
from tests.factories import signal
from tests.integration.execution_states import ExecutionStates, Rows

KEYS = (
    "signals refused executions by_status by_reason by_executor execution_rate fill_rate oldest_unfinished_s latency_ms"
)


def test_a_report_of_nothing_has_every_key_and_no_rate(record: Record) -> None:
    said = report(record).to_json()

    assert list(said) == KEYS.split()
    assert said == {
        "signals": 0,
        "refused": 0,
        "executions": 0,
        "by_status": {},
        "by_reason": {},
        "by_executor": {},
        "execution_rate": None,
        "fill_rate": None,
        "oldest_unfinished_s": None,
        "latency_ms": {"p50": None, "p95": None, "p99": None},
    }


def test_it_counts_signals_refusals_states_and_reasons(
    record: Record, intake: Intake, execution_states: ExecutionStates
) -> None:
    execution_states.recorded()
    execution_states.reached("filled", order_id="o-1")
    intake.record(signal(confidence=76), source="test")
    with pytest.raises(InvalidSignal):
        intake.record({}, source="test")

    said = report(record).to_json()

    assert (said["signals"], said["refused"], said["executions"]) == (3, 1, 6)
    assert said["by_status"] == {"queued": 4, "filled": 1, "skipped": 1}
    assert said["by_reason"] == {"confidence_below_minimum": 1}


def test_the_execution_rate_is_of_what_was_decided_and_not_skipped(
    record: Record, execution_states: ExecutionStates
) -> None:
    execution_states.reached("filled", order_id="o-1")
    execution_states.reached("accepted", order_id="o-2")
    execution_states.reached("dead", "attempts_used_up", order_id=None)
    execution_states.reached("rejected", "rejected_by_broker", order_id=None)
    for undecided, code in (
        ("queued", None),
        ("held", "broker_away"),
        ("unknown", "no_answer"),
        ("skipped", "no_position"),
    ):
        execution_states.reached(undecided, code)

    argo = report(record).to_json()["by_executor"]["argo"]["exchange"]

    assert (argo["eligible"], argo["with_order"], argo["execution_rate"], argo["fill_rate"]) == (4, 2, 0.5, 0.5)
    assert argo["executions"] == 8


def test_rates_are_per_mode_and_never_summed_over_modes(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_states.reached("filled", order_id="o-1")
    live = execution_states.reached("rejected", "rejected_by_broker", order_id=None)
    assert report(record).to_json()["execution_rate"] == 0.5
    rows("UPDATE execution SET mode = 'live' WHERE execution_id = %s", [live])

    said = report(record).to_json()

    assert (said["execution_rate"], said["fill_rate"]) == (None, None)
    modes = said["by_executor"]["argo"]
    assert {mode: modes[mode]["execution_rate"] for mode in modes} == {"exchange": 1.0, "live": 0.0}


def test_a_requeued_execution_counts_with_its_newest_order(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_id = execution_states.reached("dead", "unknown_too_long", order_id=None)
    rows("UPDATE execution SET state = 'queued', generation = 2 WHERE execution_id = %s", [execution_id])
    execution_states.claimed(execution_id)
    execution_states.ordered(execution_id, order_id="o-2")
    execution_states.moved(execution_id, "filled")

    argo = report(record).to_json()["by_executor"]["argo"]["exchange"]

    assert (argo["executions"], argo["with_order"], argo["execution_rate"]) == (1, 1, 1.0)


def test_latencies_are_from_recording_to_the_recorded_order_id(
    record: Record, execution_states: ExecutionStates
) -> None:
    for number in range(1, 101):
        execution_states.reached("accepted", order_id=f"o-{number}", after_ms=number)

    assert report(record).to_json()["latency_ms"] == {"p50": 50.5, "p95": 95.0, "p99": 99.0}


def test_the_oldest_unfinished_counts_from_its_recording(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_states.reached("filled", order_id="o-1")
    rows("UPDATE execution SET created_at = now() - interval '1 hour'")
    execution_states.recorded()
    rows("UPDATE execution SET created_at = created_at - interval '10 seconds'")

    assert report(record).to_json()["oldest_unfinished_s"] >= 3600


@pytest.mark.parametrize(("ago", "signals", "refused"), [(timedelta(hours=2), 2, 2), (timedelta(minutes=5), 1, 1)])
def test_it_may_count_from_a_time_on(
    record: Record, intake: Intake, rows: Rows, ago: timedelta, signals: int, refused: int
) -> None:
    def send() -> Any:
        intake.record(signal(), source="test")
        with pytest.raises(InvalidSignal):
            intake.record({}, source="test")

    send()
    for table, column in (("signal", "recorded_at"), ("execution", "created_at"), ("refusal", "at")):
        rows(f"UPDATE {table} SET {column} = {column} - interval '1 hour'")
    send()

    said = report(record, since=datetime.now(UTC) - ago).to_json()

    assert (said["signals"], said["refused"], said["executions"]) == (signals, refused, 2 * signals)
