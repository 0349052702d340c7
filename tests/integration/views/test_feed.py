from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from pipeline.intake.intake import Intake
from pipeline.store.record import USUAL, Record, RetryFor
from pipeline.views.live_feed import change_json, follow_changes, follow_feed, is_decision, is_news, line_of
from tests.factories import signal, until
from tests.integration.execution_states import ExecutionStates, Rows


class Counted(Record):
    """A record that counts its queries. The first query of the feed sets the cursor, so only later moves are new."""

    asked = 0

    def run(self, unit: Any, *, retry_for_s: RetryFor = USUAL) -> Any:
        value = super().run(unit, retry_for_s=retry_for_s)
        self.asked += 1
        return value


class Followed:
    """A thread that collects all moves of the feed."""

    def __init__(self, database_url: str) -> None:
        self.said: list[Any] = []
        self._record = Counted(database_url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        until(lambda: self._record.asked)

    def _collect(self) -> None:
        for row in follow_changes(self._record, self._stop):
            self.said.append(row)

    def until(self, count: int) -> list[Any]:
        until(lambda: len(self.said) >= count)
        return self.said

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._record.close()


@pytest.fixture
def follow(database_url: str) -> Iterator[Callable[[], Followed]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Followed(database_url)))


@pytest.fixture
def followed(follow: Callable[[], Followed]) -> Followed:
    return follow()


def test_moves_from_before_the_start_are_left_out(
    follow: Callable[[], Followed], execution_states: ExecutionStates
) -> None:
    execution_states.recorded()
    feed = follow()
    execution_id = execution_states.recorded()

    assert feed.until(2)[0].execution_id == execution_id
    assert len(feed.said) == 2


def test_every_move_comes_once_and_in_order(followed: Followed, execution_states: ExecutionStates) -> None:
    first = execution_states.reached("filled", order_id="o-1", filled=5)
    second = execution_states.reached("skipped", "no_position")

    said = followed.until(8)

    moves = [(row.execution_id, row.to_state.value) for row in said if row.executor_id == "argo"]
    assert moves == [
        (one, state) for one, end in ((first, "filled"), (second, "skipped")) for state in ("queued", "submitting", end)
    ]
    assert [row.history_id for row in said] == sorted({row.history_id for row in said})


def test_moves_go_on_after_postgresql_was_away(
    followed: Followed, execution_states: ExecutionStates, rows: Rows
) -> None:
    execution_states.recorded()
    followed.until(2)
    rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    execution_states.recorded()

    assert len(followed.until(4)) == 4


def test_a_decision_is_the_first_move_out_of_undecided(
    followed: Followed, execution_states: ExecutionStates, intake: Intake
) -> None:
    execution_id = execution_states.recorded()
    execution_states.claimed(execution_id)
    execution_states.moved(execution_id, "unknown", "no_answer")
    execution_states.ordered(execution_id, order_id="o-1")
    for state in ("accepted", "partially_filled", "filled"):
        execution_states.moved(execution_id, state)
    intake.record(signal(confidence=76), source="test")

    decisions = [(row.executor_id, row.to_state.value) for row in followed.until(9) if is_decision(row)]

    assert decisions == [("argo", "accepted"), ("prop_firm", "skipped")]


def test_the_first_hold_of_an_execution_is_news_and_its_repeats_are_not(
    followed: Followed, execution_states: ExecutionStates
) -> None:
    execution_id = execution_states.recorded()
    for _ in range(3):
        execution_states.claimed(execution_id)
        execution_states.moved(execution_id, "held", "paused", by="ann")

    (line,) = [line_of(row) for row in followed.until(8) if is_news(row)]

    assert "held       paused by=ann" in line


def test_a_line_has_signal_outcome_and_duration(followed: Followed, execution_states: ExecutionStates) -> None:
    execution_states.reached("filled", order_id="o-1", filled=5)
    execution_states.reached("skipped", "no_position")

    ordered, skipped = [line_of(row) for row in followed.until(8) if is_decision(row)]

    assert "BUY  AAPL      98.0% → argo         filled     order o-1" in ordered
    assert ordered.endswith(" ms")
    assert "skipped    no_position" in skipped


def test_a_close_without_a_confidence_has_a_line_too(followed: Followed, execution_states: ExecutionStates) -> None:
    execution_id = execution_states.recorded(intent="close", confidence=None, entry_price=None)
    execution_states.claimed(execution_id)
    execution_states.moved(execution_id, "skipped", "no_position")

    (line,) = [line_of(row) for row in followed.until(4) if is_decision(row)]

    assert "AAPL            → argo" in line


def test_a_line_without_an_order_and_a_reason_has_no_none(
    followed: Followed, execution_states: ExecutionStates
) -> None:
    execution_states.recorded()

    assert "None" not in "".join(line_of(row) for row in followed.until(1))


def test_a_move_for_programs_has_every_key(followed: Followed, execution_states: ExecutionStates) -> None:
    execution_id = execution_states.reached("rejected", "rejected_by_broker", order_id="o-1")

    (said,) = [change_json(row) for row in followed.until(4) if is_decision(row)]

    assert said.pop("at").endswith("Z")
    assert isinstance(said.pop("signal_id"), str)
    assert said == {
        "execution_id": str(execution_id),
        "executor_id": "argo",
        "symbol": "AAPL",
        "action": "BUY",
        "confidence": "98",
        "from": "submitting",
        "status": "rejected",
        "order_id": "o-1",
        "reason_code": "rejected_by_broker",
        "reason": "rejected_by_broker",
        "filled_quantity": "0",
        "filled_average_price": None,
    }


def fed(database_url: str, act: Callable[[], object], *, last: str) -> list[str]:
    """Follow the feed until a line contains *last*, and return the lines.

    It is not known when the feed begins, so *act* is repeated until then.
    """
    stop = threading.Event()
    lines: list[str] = []

    def follow() -> None:
        for line in follow_feed(database_url, stop):
            lines.append(line)
            if last in line:
                stop.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    until(lambda: act() and stop.wait(0.3))
    thread.join(15)
    assert not thread.is_alive()
    return lines


def test_the_feed_of_up_yields_lines_until_it_is_stopped(database_url: str, execution_states: ExecutionStates) -> None:
    lines = fed(database_url, lambda: execution_states.reached("skipped", "no_position"), last="")

    assert "skipped    no_position" in lines[0]


def test_the_feed_of_up_tells_a_fill_after_the_order(database_url: str, execution_states: ExecutionStates) -> None:
    lines = fed(database_url, lambda: execution_states.reached("filled", order_id="o-1", filled=5), last=" 5 at ")

    assert "order o-1" in lines[-2]
    assert " filled     5 at " in lines[-1]


def test_the_feed_of_up_tells_that_an_entry_waits(database_url: str, execution_states: ExecutionStates) -> None:
    lines = fed(database_url, lambda: execution_states.reached("held", "paused"), last="")

    assert "held       paused" in lines[0]
