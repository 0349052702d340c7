"""The text of `why` and `dead show`: every line is complete, and no value that is missing is printed as None."""

from __future__ import annotations

import pytest

from pipeline.entrypoints.cli.executions import print_life
from pipeline.entrypoints.web.page.timeline import timeline
from pipeline.store.record import Record
from pipeline.views.history import signal_history
from tests.integration.execution_states import ExecutionStates, Rows


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"action": "SELL", "intent": "close", "confidence": None, "entry_price": None}, "SELL AAPL, from test"),
        ({"entry_price": None, "price": "market", "stop_price": None}, "BUY AAPL at 98 %, price market, from test"),
        ({"entry_price": "101.5"}, "BUY AAPL at 98 %, price 101.5, from test"),
    ],
)
def test_the_first_line_has_only_what_the_signal_has(
    changes: dict[str, object],
    first: str,
    record: Record,
    execution_states: ExecutionStates,
    capsys: pytest.CaptureFixture[str],
) -> None:
    execution_id = execution_states.recorded(**changes)

    capsys.readouterr()  # The log of the recording.
    print_life(signal_history(record, execution_id).to_json(), as_json=False)

    assert capsys.readouterr().out.splitlines()[0] == first


def test_an_order_without_an_id_and_an_unsent_attempt_print_no_none(
    record: Record,
    execution_states: ExecutionStates,
    rows: Rows,
    capsys: pytest.CaptureFixture[str],
) -> None:
    execution_id = execution_states.reached("unknown", "no_answer", order_id=None)
    execution_states.attempted(execution_id)
    rows("UPDATE attempt SET sent_at = NULL")
    rows("UPDATE broker_order SET order_status = NULL, ended_at = now()")
    history = signal_history(record, execution_id)

    capsys.readouterr()  # The log of the recording.
    print_life(history.to_json(), as_json=False)

    said = capsys.readouterr().out
    assert "None" not in said
    assert f"order tw-{execution_id}-1: the broker has given it no id" in said
    assert "not sent: rejected" in said
    assert "None" not in " ".join(
        f"{each.text} {each.detail}" for each in timeline(history.executions[0]) if each.detail
    )


def test_equal_holds_in_a_row_are_one_line_with_their_count(
    record: Record, execution_states: ExecutionStates, capsys: pytest.CaptureFixture[str]
) -> None:
    execution_id = execution_states.recorded()
    for by in ("ann", "ann", "ann", "ben"):
        execution_states.claimed(execution_id)
        execution_states.moved(execution_id, "held", "paused", by=by)
    body = signal_history(record, execution_id).to_json()
    capsys.readouterr()

    print_life(body, as_json=False)

    said = capsys.readouterr().out
    assert (said.count("paused by=ann"), said.count("paused by=ben")) == (1, 1)
    assert "held 3 times until then" in said
    assert said.count(" submitting ") == 2
