from __future__ import annotations

from uuid import uuid4

import pytest

from pipeline.model.errors import NotPossible
from pipeline.operations.end_execution import end_execution
from pipeline.store.record import Record
from tests.integration.execution_states import ExecutionStates, Rows


def test_a_person_ends_what_is_queued_and_history_says_who_and_why(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_id = execution_states.recorded()

    ended = end_execution(record, execution_id, by="ann", why="wrong ticker")

    assert (ended.execution_id, ended.executor_id, ended.symbol) == (execution_id, "argo", "AAPL")
    last = rows(
        "SELECT to_state, reason_code, moved_by, moved_why FROM history WHERE execution_id = %s "
        "ORDER BY history_id DESC LIMIT 1",
        [execution_id],
    )
    assert last == [
        {"to_state": "skipped", "reason_code": "ended_by_person", "moved_by": "ann", "moved_why": "wrong ticker"}
    ]


def test_a_person_ends_what_is_held(record: Record, execution_states: ExecutionStates, rows: Rows) -> None:
    execution_id = execution_states.reached("held", "market_closed")

    end_execution(record, execution_id, by="ann", why="enough")

    row = rows("SELECT * FROM execution WHERE execution_id = %s", [execution_id])[0]
    assert (row["state"], row["due_at"], row["reason_facts"]) == ("skipped", None, {"by": "ann"})


def test_what_waited_for_the_symbol_is_due_at_once(
    record: Record, execution_states: ExecutionStates, rows: Rows
) -> None:
    first, second = execution_states.recorded(), execution_states.recorded()
    rows("UPDATE execution SET due_at = now() + interval '1 hour' WHERE execution_id = %s", [second])

    end_execution(record, first, by="ann", why="wrong")

    assert rows("SELECT due_at <= clock_timestamp() AS due FROM execution WHERE execution_id = %s", [second]) == [
        {"due": True}
    ]


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("submitting", "being executed"),
        ("unknown", "looked up"),
        ("accepted", "tradewire orders cancel"),
        ("partially_filled", "tradewire orders cancel"),
        ("dead", "tradewire dead discard"),
        ("filled", "it has ended already"),
        ("skipped", "it has ended already"),
    ],
)
def test_what_does_not_wait_is_refused_with_what_to_do(
    record: Record, execution_states: ExecutionStates, state: str, hint: str
) -> None:
    execution_id = execution_states.recorded()
    execution_states.claimed(execution_id)
    if state != "submitting":
        execution_states.moved(execution_id, state, "no_position" if state in {"dead", "skipped"} else None)

    with pytest.raises(NotPossible, match=hint):
        end_execution(record, execution_id, by="ann", why="enough")


def test_a_held_one_whose_order_may_be_at_the_broker_is_not_ended(
    record: Record, execution_states: ExecutionStates
) -> None:
    execution_id = execution_states.reached("held", "send_again", order_id=None)

    with pytest.raises(NotPossible, match="its order may be at the broker"):
        end_execution(record, execution_id, by="ann", why="enough")


def test_ending_twice_is_refused(record: Record, execution_states: ExecutionStates) -> None:
    execution_id = execution_states.recorded()
    end_execution(record, execution_id, by="ann", why="enough")

    with pytest.raises(NotPossible, match="it has ended already"):
        end_execution(record, execution_id, by="ann", why="enough")


def test_an_execution_that_never_was_cannot_end(record: Record) -> None:
    with pytest.raises(NotPossible, match="there is no execution"):
        end_execution(record, uuid4(), by="ann", why="enough")
