from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from pipeline.intake.intake import Intake
from pipeline.model.errors import NotPossible
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.views.history import executions, executions_of, signal_history
from tests.factories import signal
from tests.integration.execution_states import ExecutionStates, Rows


def test_executions_are_listed_newest_first_and_at_most_so_many(
    record: Record, execution_states: ExecutionStates
) -> None:
    made = [execution_states.recorded() for _ in range(3)]

    listed = executions(record)
    assert [row.executor_id for row in listed] == ["prop_firm", "argo"] * 3
    assert [row.execution_id for row in listed if row.executor_id == "argo"] == made[::-1]
    assert executions(record, limit=2) == listed[:2]


def test_executions_are_found_by_signal_state_executor_and_time(
    record: Record, execution_states: ExecutionStates
) -> None:
    filled = execution_states.reached("filled", order_id="o-1", filled=5)
    execution_states.recorded()
    noon = datetime.now(UTC)
    last = execution_states.recorded()

    (row,) = executions(record, state=State.FILLED)
    assert (row.execution_id, row.order_id, str(row.filled_quantity), str(row.filled_average_price)) == (
        filled,
        "o-1",
        "5",
        "100.5",
    )
    assert [found.execution_id for found in executions(record, executor_id="argo", since=noon)] == [last]
    assert {found.signal_id for found in executions(record, signal_id=row.signal_id)} == {row.signal_id}
    assert executions(record, signal_id=uuid4()) == []


def test_executions_of_signals_come_in_the_order_of_their_recording(record: Record, intake: Intake) -> None:
    recorded = [intake.record(signal(), source="test") for _ in range(2)]

    found = executions_of(record, [one.signal_id for one in reversed(recorded)])

    assert [row.seq for row in found] == [1, 2, 3, 4]
    assert executions_of(record, []) == []


def test_an_execution_is_shown_with_the_order_of_its_generation(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_id = execution_states.reached("dead", "unknown_too_long", order_id=None)
    rows(
        "UPDATE execution SET state = 'queued', generation = 2, due_at = now() WHERE execution_id = %s", [execution_id]
    )

    row = next(row for row in executions(record) if row.execution_id == execution_id)

    assert row.client_order_id is None


def test_a_life_has_every_move_attempt_and_order_with_times(record: Record, execution_states: ExecutionStates) -> None:
    execution_id = execution_states.reached("rejected", "rejected_by_broker", order_id="o-1")
    execution_states.attempted(execution_id, "req-4711")

    said = signal_history(record, execution_id).to_json()

    assert (said["signal"]["symbol"], said["signal"]["confidence"]) == ("AAPL", "98")
    argo, prop_firm = said["executions"]
    assert (argo["executor_id"], prop_firm["executor_id"]) == ("argo", "prop_firm")
    assert [(move["from"], move["to"], move["by"]) for move in argo["moves"]] == [
        (None, "queued", "test"),
        ("queued", "submitting", "a worker"),
        ("submitting", "rejected", "a worker"),
    ]
    after = [move["after_ms"] for move in argo["moves"]]
    assert after == sorted(after)
    assert [(one["outcome"], one["message"], one["took_ms"], one["request_id"]) for one in argo["attempts_made"]] == [
        ("rejected", "insufficient", "12.5", "req-4711")
    ]
    assert [(order["order_id"], order["role"], order["request"]) for order in argo["orders"]] == [
        ("o-1", "entry", {"qty": "5"})
    ]
    assert argo["meaning"].startswith("The broker refused the order")
    assert argo["remedy"]
    assert (prop_firm["status"], prop_firm["attempts_made"], prop_firm["orders"]) == ("queued", [], [])


def test_a_signals_id_and_an_executions_id_tell_the_same_life(record: Record, intake: Intake) -> None:
    recorded = intake.record(signal(), source="test")

    by_execution = signal_history(record, recorded.executions[1].execution_id)
    assert signal_history(record, recorded.signal_id) == by_execution


def test_a_code_of_another_release_is_told_without_a_meaning(record: Record, execution_states: ExecutionStates) -> None:
    execution_id = execution_states.reached("skipped", "code_of_tomorrow")

    (argo, _) = signal_history(record, execution_id).to_json()["executions"]

    assert argo["reason"] == "code_of_tomorrow"
    assert "meaning" not in argo


def test_an_unknown_id_raises(record: Record) -> None:
    with pytest.raises(NotPossible, match="there is no signal and no execution"):
        signal_history(record, UUID(int=5)).to_json()
