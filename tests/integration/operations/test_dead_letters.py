from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline.intake.intake import Intake
from pipeline.model.errors import NotPossible
from pipeline.operations.dead_letters import DeadLetters
from pipeline.store.record import Record
from tests.factories import signal
from tests.integration.execution_states import Rows

Kill = Callable[..., None]


@pytest.fixture
def dead_letters(record: Record) -> DeadLetters:
    return DeadLetters(record)


@pytest.fixture
def dead(intake: Intake, kill: Kill) -> UUID:
    execution_id = intake.record(signal(source_id="7"), source="webhook").executions[0].execution_id
    kill(execution_id, attempts=5, was="no_answer")
    return execution_id


def row_of(rows: Rows, execution_id: UUID) -> dict[str, Any]:
    return rows("SELECT * FROM execution WHERE execution_id = %s", [execution_id])[0]


def intend(rows: Rows, execution_id: UUID, **changes: Any) -> None:
    """Write an order of the execution's generation, as a worker does before it sends."""
    values = {
        "execution_id": execution_id,
        "generation": row_of(rows, execution_id)["generation"],
        "executor_id": "argo",
        "account_number": "PA1",
        "client_order_id": f"tw-{execution_id}-{row_of(rows, execution_id)['generation']}",
        "role": "entry",
        "symbol": "AAPL",
        "side": "buy",
        "quantity": 1,
        "reference_price": 100,
        "request": "{}",
    } | changes
    places = ", ".join(f"%({name})s" for name in values)
    rows(f"INSERT INTO broker_order ({', '.join(values)}) VALUES ({places})", values)


def test_an_open_letter_says_what_died_and_why(dead_letters: DeadLetters, dead: UUID) -> None:
    (letter,) = dead_letters.open()

    assert (letter.execution_id, letter.number, letter.executor_id, letter.symbol) == (dead, 1, "argo", "AAPL")
    assert (letter.source, letter.source_id, letter.attempts) == ("webhook", "7", 5)
    assert letter.reason == "attempts_used_up was=no_answer attempts=5"
    assert letter.job().job_id == f"dead-{dead}-1"
    assert letter.job().description == "BUY AAPL 98.0 % → argo"


def test_letters_are_listed_by_executor_the_oldest_first_and_at_most_so_many(
    dead_letters: DeadLetters, intake: Intake, kill: Kill
) -> None:
    died = [execution for _ in range(3) for execution in intake.record(signal(), source="test").executions]
    for execution in died:
        kill(execution.execution_id)

    assert [letter.execution_id for letter in dead_letters.open()] == [execution.execution_id for execution in died]
    assert [letter.executor_id for letter in dead_letters.open("prop_firm")] == ["prop_firm"] * 3
    assert len(dead_letters.open(limit=2)) == 2
    assert len(dead_letters.open(limit=None)) == 6


def test_a_requeue_puts_it_back_to_work_as_new_and_keeps_who_and_why(
    dead_letters: DeadLetters, dead: UUID, rows: Rows
) -> None:
    dead_letters.requeue(dead, by="ann", why="the broker is back")

    row = row_of(rows, dead)
    assert (row["state"], row["reason_code"], row["attempts"], row["decided_at"]) == ("queued", "requeued", 0, None)
    assert (row["generation"], row["accept_age"], row["due_at"] is not None) == (1, False, True)
    assert dead_letters.open() == []
    assert rows("SELECT ending, closed_by, closed_why FROM dead_letter") == [
        {"ending": "requeued", "closed_by": "ann", "closed_why": "the broker is back"}
    ]


def test_a_requeue_may_accept_the_age(dead_letters: DeadLetters, dead: UUID, rows: Rows) -> None:
    dead_letters.requeue(dead, by="ann", why="still good", accept_age=True)

    assert row_of(rows, dead)["accept_age"] is True


def test_a_discard_ends_it_with_who_and_why_and_what_it_was(dead_letters: DeadLetters, dead: UUID, rows: Rows) -> None:
    dead_letters.discard(dead, by="ann", why="sold by hand")

    row = row_of(rows, dead)
    assert (row["state"], row["reason_code"], row["moved_by"], row["moved_why"]) == (
        "discarded",
        "discarded",
        "ann",
        "sold by hand",
    )
    assert row["reason_facts"] == {"was": "no_answer", "attempts": 5}
    assert row["ended_at"] is not None
    assert dead_letters.open() == []


def test_only_dead_letters_are_requeued_or_discarded(dead_letters: DeadLetters, dead: UUID) -> None:
    dead_letters.discard(dead, by="ann", why="over")

    for act in (dead_letters.requeue, dead_letters.discard):
        with pytest.raises(NotPossible, match="is discarded, not dead"):
            act(dead, by="ann", why="again")
        with pytest.raises(NotPossible, match="there is no execution"):
            act(uuid4(), by="ann", why="lost")


def test_the_dashboards_requeue_works_once_per_letter(
    dead_letters: DeadLetters, dead: UUID, kill: Kill, rows: Rows
) -> None:
    assert dead_letters.requeue_from_dashboard(f"dead-{dead}-1", dead)
    assert not dead_letters.requeue_from_dashboard(f"dead-{dead}-1", dead)

    kill(dead)
    assert [letter.number for letter in dead_letters.open()] == [2]
    assert not dead_letters.requeue_from_dashboard(f"dead-{dead}-1", dead)
    assert row_of(rows, dead)["state"] == "dead"
    assert dead_letters.requeue_from_dashboard(f"dead-{dead}-2", dead)
    assert rows("SELECT number, closed_by FROM dead_letter ORDER BY number") == [
        {"number": 1, "closed_by": "rq-dashboard"},
        {"number": 2, "closed_by": "rq-dashboard"},
    ]


@pytest.mark.parametrize("job_id", ["dead-", "dead-x", "dead-1-²", "x"])
def test_a_job_that_names_no_letter_requeues_nothing(
    dead_letters: DeadLetters, dead: UUID, rows: Rows, job_id: str
) -> None:
    assert not dead_letters.requeue_from_dashboard(job_id, dead)
    assert row_of(rows, dead)["state"] == "dead"


ENDED = {"order_id": "o-1", "order_status": "canceled", "ended_at": "now"}


@pytest.mark.parametrize(
    ("order", "attempt", "generation"),
    [
        (None, None, 1),
        # The order may exist, even after a long absence, so its id is looked up first.
        ({}, "unknown", 1),
        ({"order_id": "o-1", "order_status": "new"}, "accepted", 1),
        # The order ended without a fill, so the next attempt is a new order.
        (ENDED, "accepted", 2),
        (ENDED | {"filled_quantity": 1}, "accepted", 1),
        # A replacement may still fill. After a duplicate, the broker has an order with this id.
        (ENDED | {"order_status": "replaced"}, "accepted", 1),
        (ENDED, "duplicate", 1),
    ],
)
def test_only_an_end_without_a_fill_makes_the_next_try_a_new_order(
    dead_letters: DeadLetters,
    dead: UUID,
    rows: Rows,
    order: dict[str, Any] | None,
    attempt: str | None,
    generation: int,
) -> None:
    if order is not None:
        intend(rows, dead, **order)
    if attempt is not None:
        rows("INSERT INTO attempt (execution_id, fence, generation, outcome) VALUES (%s, 1, 1, %s)", [dead, attempt])
    rows("UPDATE execution SET absent_since = now() - interval '1 hour'")

    dead_letters.requeue(dead, by="ann", why="again")

    row = row_of(rows, dead)
    assert (row["generation"], row["absent_since"]) == (generation, None)


def test_a_requeue_that_does_nothing_leaves_the_generation(dead_letters: DeadLetters, dead: UUID, rows: Rows) -> None:
    intend(rows, dead, **ENDED)

    assert not dead_letters.requeue_from_dashboard(f"dead-{dead}-9", dead)

    assert row_of(rows, dead)["generation"] == 1


@pytest.mark.parametrize("close", [DeadLetters.requeue, DeadLetters.discard])
def test_a_requeue_or_discard_whose_commit_lost_its_answer_is_known_as_done(
    record: Record, dead: UUID, rows: Rows, monkeypatch: pytest.MonkeyPatch, close: Callable[..., None]
) -> None:
    run = record.run
    monkeypatch.setattr(record, "run", lambda unit, **patience: (run(unit, **patience), run(unit, **patience))[1])

    close(DeadLetters(record), dead, by="cli", why="again")

    (letter,) = rows("SELECT * FROM dead_letter")
    assert (letter["closed_by"], letter["closed_why"]) == ("cli", "again")
    monkeypatch.undo()
    with pytest.raises(NotPossible):
        close(DeadLetters(record), dead, by="cli", why="again")
