from __future__ import annotations

import pytest

from pipeline.model.states import ENDED, MOVES, UNDECIDED, WORKING, State

BROKER = "accepted partially_filled filled canceled expired rejected"

#: The allowed changes as ARCHITECTURE.md shows them.
TABLE = {
    "queued": "submitting skipped",
    "held": "submitting skipped",
    "submitting": f"{BROKER} unknown held skipped queued dead",
    "unknown": f"{BROKER} held skipped dead",
    "accepted": "partially_filled filled canceled expired rejected dead",
    "partially_filled": "filled canceled expired dead",
    # End states, which only a late fill or a late order changes.
    "filled": "",
    "canceled": "partially_filled filled",
    "expired": "partially_filled filled",
    "rejected": "accepted partially_filled filled",
    "skipped": BROKER,
    "dead": f"{BROKER} queued discarded",
    "discarded": BROKER,
}


def test_the_moves_are_the_published_table() -> None:
    assert {str(old): {str(new) for new in moves} for old, moves in MOVES.items()} == {
        old: set(moves.split()) for old, moves in TABLE.items()
    }


@pytest.mark.parametrize("state", State)
def test_every_state_is_undecided_working_dead_or_ended_and_only_one_of_these(state: State) -> None:
    assert [state in UNDECIDED, state in WORKING, state is State.DEAD, state in ENDED].count(True) == 1


def test_undecided_are_the_states_before_a_decision_of_the_broker_or_a_rule() -> None:
    assert {"queued", "held", "submitting", "unknown"} == UNDECIDED


def test_ended_are_the_states_that_only_a_late_report_changes() -> None:
    assert {"filled", "canceled", "expired", "rejected", "skipped", "discarded"} == ENDED


@pytest.mark.parametrize("state", sorted(ENDED))
def test_nothing_leads_from_an_end_back_to_work(state: State) -> None:
    assert MOVES[state].isdisjoint(UNDECIDED)


@pytest.mark.parametrize("state", State)
def test_no_state_moves_to_itself(state: State) -> None:
    assert state not in MOVES[state]


@pytest.mark.parametrize("state", sorted(set(State) - {State.QUEUED}))
def test_every_state_can_be_reached(state: State) -> None:
    assert [old for old in State if state in MOVES[old]]
