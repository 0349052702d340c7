"""The text of `why` and `dead show`: every line is complete, and no value that is missing is printed as None."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from pipeline.entrypoints.cli.executions import print_life
from pipeline.entrypoints.web.page.timeline import timeline
from pipeline.model.fills import FillReport, FillSource
from pipeline.model.orders import OrderSide
from pipeline.store.record import Record
from pipeline.views.history import signal_history
from tests.integration.execution_states import ExecutionStates, Rows
from workers.execution.fills import record_fill, void_fill


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


def test_each_fill_of_an_order_is_one_line(
    record: Record, execution_states: ExecutionStates, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    execution_id = execution_states.recorded()
    execution_states.ordered(execution_id, order_id="o-1", filled=5)
    for number, quantity in enumerate((1, 2), 1):
        report = FillReport(
            fill_id=f"f-{number}",
            order_id="o-1",
            symbol="AAPL",
            side=OrderSide.BUY,
            quantity=Decimal(quantity),
            price=Decimal("100.5"),
            filled_at=datetime(2026, 7, 30, 14, 30, number, tzinfo=UTC),
        )
        record.run(partial(record_fill, account_number="PA1", report=report, source=FillSource.STREAM))
    record.run(lambda connection: void_fill(connection, "PA1", report))
    rows("UPDATE fill SET filled_at = '2026-07-30T14:31:00Z' WHERE source = 'order'")
    capsys.readouterr()

    history = signal_history(record, execution_id)
    print_life(history.to_json(), as_json=False)

    said = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("    filled ")]
    assert said == [
        "filled 2026-07-30T14:30:01Z: 1 at 100.5 (fill f-1)",
        "filled 2026-07-30T14:30:02Z: 2 at 100.5 (fill f-2); the broker took it back",
        "filled 2026-07-30T14:31:00Z: 2 at 100.5; not itemised yet: the broker's list of fills has not shown it",
    ]
    [order] = history.to_json()["executions"][0]["orders"]
    assert [(fill["fill_id"], fill["source"]) for fill in order["fills"]] == [
        ("f-1", "stream"),
        ("f-2", "stream"),
        (None, "order"),
    ]
    assert "1 filled at 100.5" in [each.text for each in timeline(history.executions[0])]
    rows("UPDATE fill SET recorded_at = now() - interval '25 hours'")
    [order] = signal_history(record, execution_id).to_json()["executions"][0]["orders"]
    assert order["fills"][2]["note"] == "not itemised: the broker's list of fills did not show it within a day"


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
