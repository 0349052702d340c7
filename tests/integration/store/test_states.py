from __future__ import annotations

from itertools import permutations
from typing import Any

import psycopg
import pytest

from pipeline.intake.intake import Intake
from pipeline.model.states import MOVES, UNDECIDED, State
from tests.factories import signal
from tests.integration.execution_states import Rows

#: The values that the checks of the table require in these states.
CARRIES = {
    State.SUBMITTING: "lease_until = now(), due_at = NULL, ended_at = NULL",
    State.HELD: "lease_until = NULL, due_at = now(), ended_at = NULL",
    State.UNKNOWN: "lease_until = NULL, due_at = now(), ended_at = NULL",
}
ENDS = "lease_until = NULL, ended_at = now()"
WORKS = "lease_until = NULL, ended_at = NULL"


def carries(state: State) -> str:
    ends = state in {
        State.FILLED,
        State.CANCELED,
        State.EXPIRED,
        State.REJECTED,
        State.SKIPPED,
        State.DISCARDED,
    }
    return CARRIES.get(state, ENDS if ends else WORKS)


def move(rows: Rows, execution_id: Any, state: State, *, by: str = "test", why: str | None = None) -> None:
    rows(
        f"UPDATE execution SET state = %s, reason_code = 'requeued', moved_by = %s, moved_why = %s, {carries(state)} "
        "WHERE execution_id = %s",
        [state, by, why, execution_id],
    )


@pytest.fixture
def execution_id(intake: Intake) -> Any:
    return intake.record(signal(), source="test").executions[0].execution_id


def force(rows: Rows, execution_id: Any, state: State) -> None:
    """Put the row into *state* without the trigger, to try the changes from there."""
    rows("ALTER TABLE execution DISABLE TRIGGER USER")
    move(rows, execution_id, state)
    rows("ALTER TABLE execution ENABLE TRIGGER USER")


def test_the_enum_has_the_states_of_the_code_in_their_order(rows: Rows) -> None:
    names = rows("SELECT unnest(enum_range(NULL::execution_state))::text AS name")

    assert [row["name"] for row in names] == [state.value for state in State]


def test_the_table_of_moves_is_that_of_the_code(rows: Rows) -> None:
    stored = {(row["from_state"], row["to_state"]) for row in rows("SELECT from_state, to_state FROM allowed_move")}

    assert stored == {(old.value, new.value) for old, moves in MOVES.items() for new in moves}


def test_the_database_makes_exactly_the_moves_of_the_table(rows: Rows, execution_id: Any) -> None:
    made = set()
    for old, new in permutations(State, 2):
        force(rows, execution_id, old)
        try:
            move(rows, execution_id, new)
        except psycopg.errors.CheckViolation as error:
            assert f"may not move from {old} to {new}" in str(error)  # noqa: PT017 -- the others must not raise
        else:
            made.add((old, new))

    assert made == {(old, new) for old, new in permutations(State, 2) if new in MOVES[old]}


def test_every_move_is_in_the_history_with_the_one_who_made_it(rows: Rows, execution_id: Any) -> None:
    move(rows, execution_id, State.SUBMITTING, by="a worker")
    move(rows, execution_id, State.DEAD)
    move(rows, execution_id, State.QUEUED, by="ann", why="the broker is back")

    told = rows(
        "SELECT from_state, to_state, reason_code, moved_by, moved_why FROM history WHERE execution_id = %s "
        "ORDER BY history_id",
        [execution_id],
    )
    assert [tuple(row.values()) for row in told] == [
        (None, "queued", None, "test", None),
        ("queued", "submitting", "requeued", "a worker", None),
        ("submitting", "dead", "requeued", "test", None),
        ("dead", "queued", "requeued", "ann", "the broker is back"),
    ]


def test_a_row_that_only_renews_its_lease_makes_no_history(rows: Rows, execution_id: Any) -> None:
    rows("UPDATE execution SET due_at = now(), state = state WHERE execution_id = %s", [execution_id])

    assert rows("SELECT count(*) AS n FROM history WHERE execution_id = %s", [execution_id])[0]["n"] == 1


def test_the_first_decision_is_timed(rows: Rows, execution_id: Any) -> None:
    def decided_at() -> Any:
        return rows("SELECT decided_at FROM execution WHERE execution_id = %s", [execution_id])[0]["decided_at"]

    move(rows, execution_id, State.SUBMITTING)
    assert State.SUBMITTING in UNDECIDED
    assert decided_at() is None
    move(rows, execution_id, State.ACCEPTED)
    first = decided_at()
    assert first is not None
    move(rows, execution_id, State.FILLED)
    assert decided_at() == first


def test_a_state_that_needs_a_reason_cannot_be_stored_without_one(rows: Rows, execution_id: Any) -> None:
    rows("ALTER TABLE execution DISABLE TRIGGER USER")
    for state in ("skipped", "dead", "rejected", "held", "discarded"):
        with pytest.raises(psycopg.errors.CheckViolation):
            rows(
                f"UPDATE execution SET state = %s, {carries(State(state))}, reason_code = NULL WHERE execution_id = %s",
                [state, execution_id],
            )
