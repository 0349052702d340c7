from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from pipeline.entrypoints.cli.signals import error_json
from pipeline.intake.intake import Recorded
from pipeline.model.json_values import number_json, time_json
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.store.rows import ExecutionRow, Mode
from pipeline.views.schemas import ExecutionView, RecordedView

EXECUTION = (
    "execution_id signal_id executor_id mode symbol action status order_id client_order_id reason_code reason attempts "
    "created_at submitted_at ended_at filled_quantity filled_average_price"
)
ROW = ExecutionRow(
    execution_id=UUID(int=1),
    seq=1,
    signal_id=UUID(int=2),
    executor_id="argo",
    mode=Mode.EXCHANGE,
    symbol="AAPL",
    action=Action.BUY,
    confidence=None,
    state=State.QUEUED,
    reason_code=None,
    reason_facts={},
    attempts=0,
    created_at=datetime(2026, 1, 31, tzinfo=UTC),
    decided_at=None,
    ended_at=None,
    order_id=None,
    client_order_id=None,
    submitted_at=None,
    filled_quantity=None,
    filled_average_price=None,
)


def test_an_execution_has_every_key_with_null_for_unknown_values() -> None:
    body = ExecutionView.model_validate(ROW).to_json()

    assert list(body) == EXECUTION.split()
    assert {name for name, value in body.items() if value is None} == {
        "order_id",
        "client_order_id",
        "reason_code",
        "reason",
        "submitted_at",
        "ended_at",
        "filled_quantity",
        "filled_average_price",
    }


def test_money_is_a_string_and_times_are_in_utc() -> None:
    row = replace(
        ROW,
        state=State.REJECTED,
        reason_code="rejected_by_broker",
        reason_facts={"http": 403},
        ended_at=datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))),
        filled_quantity=Decimal("1E+2"),
        filled_average_price=Decimal("190.10"),
    )

    body = ExecutionView.model_validate(row).to_json()

    assert (body["status"], body["mode"], body["action"]) == ("rejected", "exchange", "BUY")
    assert body["reason"] == "rejected_by_broker http=403"
    assert (body["created_at"], body["ended_at"]) == ("2026-01-31T00:00:00Z", "2026-01-30T23:00:00Z")
    assert (body["filled_quantity"], body["filled_average_price"]) == ("100", "190.10")


def test_a_recorded_signal_is_shown_with_its_executions() -> None:
    said = RecordedView.model_validate(Recorded(signal_id=UUID(int=2), duplicate=True, executions=(ROW,))).to_json()

    assert said == {
        "signal_id": str(UUID(int=2)),
        "duplicate": True,
        "executions": [ExecutionView.model_validate(ROW).to_json()],
    }


def test_a_line_that_is_not_a_signal_is_reported_with_its_number() -> None:
    assert error_json(2, "invalid_json", "not JSON") == {
        "line": 2,
        "error": {"code": "invalid_json", "message": "not JSON"},
    }


@pytest.mark.parametrize(
    ("number", "text"), [(None, None), ("1E+3", "1000"), ("0.00000010", "0.00000010"), ("-0.5", "-0.5")]
)
def test_numbers_are_plain_decimals(number: str | None, text: str | None) -> None:
    assert number_json(None if number is None else Decimal(number)) == text


def test_no_time_is_null() -> None:
    assert time_json(None) is None
