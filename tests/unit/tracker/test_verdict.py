"""An update of the stream is applied, or left to a poll."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from pipeline.model.states import State
from pipeline.store.rows import Role
from tests.unit.brokers import payloads
from workers.brokers.alpaca.stream_frames import OrderUpdate, update_of
from workers.tracker.verdict import Apply, FillOnly, KnownOrder, NotOurs, Poll, TooEarly, Verdict, verdict_of

NOW = datetime(2026, 10, 8, 15, 10, tzinfo=UTC)
OURS = UUID("0d9f7e4c-5c1b-4a51-9d0e-1f6a3f4f3f10")
APPLY, FILL_ONLY, WAIT = Apply(fill_missed=False), FillOnly(), TooEarly()


def update(event: str = "partial_fill", *, fill: str = "43", **order: Any) -> OrderUpdate:
    """The recorded partial fill of 43 shares after one of 50, with other figures."""
    raw = payloads.recorded("derived-stream-partial-fill")["data"]
    read = update_of(
        raw | {"event": event, "qty": fill, "order": raw["order"] | {"client_order_id": f"tw-{OURS}-1"} | order}
    )
    assert isinstance(read, OrderUpdate), read
    return read


def known(**changes: Any) -> KnownOrder:
    """The order as the record has it after its first fill of 50 shares."""
    values: dict[str, Any] = dict.fromkeys(
        (
            "limit_price", "first_sent_at", "last_sent_at", "accepted_at", "ended_at", "stop_price", "reason_code",
            "filled_average_price", "filled_at",
        )
    )  # fmt: skip
    return KnownOrder(
        **values
        | {
            "execution_id": OURS, "generation": 1, "current_generation": 1, "executor_id": "argo",
            "account_number": "PA1", "client_order_id": f"tw-{OURS}-1", "role": Role.ENTRY, "symbol": "F",
            "side": "buy", "quantity": Decimal(250), "reference_price": Decimal(12), "request": {}, "intended_at": NOW,
            "may_exist": True, "order_id": "bf8ad678-0eb7-411a-afea-c9dd55ef8cb5", "order_status": "partially_filled",
            "filled_quantity": Decimal(50), "strategy": "s", "state": State.PARTIALLY_FILLED, "risk": Decimal(0),
        }
        | changes
    )  # fmt: skip


def verdict(known: KnownOrder | None, update: OrderUpdate) -> Verdict:
    return verdict_of(known, update, executor_id="argo")


@pytest.mark.parametrize(
    ("event", "order", "expected"),
    [
        ("partial_fill", {}, APPLY),
        ("fill", {"filled_qty": "250", "status": "filled"}, Apply(fill_missed=True)),
        ("canceled", {"filled_qty": "50", "status": "canceled"}, APPLY),
        ("canceled", {"filled_qty": "60", "status": "canceled"}, Apply(fill_missed=True)),
        ("canceled", {"filled_qty": "0", "status": "canceled"}, Poll(why="an end reports less than was filled")),
        ("expired", {"filled_qty": "50", "status": "expired"}, APPLY),
        ("done_for_day", {"filled_qty": "50", "status": "done_for_day"}, APPLY),
        ("new", {"filled_qty": "0", "status": "new"}, FILL_ONLY),
        ("partial_fill", {"filled_qty": "50"}, FILL_ONLY),
        ("partial_fill", {"filled_qty": "45"}, FILL_ONLY),
    ],
)
def test_a_working_order_follows_what_is_newer(event: str, order: dict[str, Any], expected: Verdict) -> None:
    assert verdict(known(), update(event, **order)) == expected


@pytest.mark.parametrize(
    ("event", "order", "expected"),
    [
        ("new", {"filled_qty": "50", "status": "new"}, FILL_ONLY),
        ("fill", {"filled_qty": "93", "status": "filled"}, APPLY),
        ("partial_fill", {"filled_qty": "50"}, FILL_ONLY),
        ("rejected", {"filled_qty": "50", "status": "rejected"}, Poll(why="the order was rejected after its end")),
    ],
)
def test_after_a_cancel_only_fills_count(event: str, order: dict[str, Any], expected: Verdict) -> None:
    canceled = known(ended_at=NOW, state=State.CANCELED, order_status="canceled")

    assert verdict(canceled, update(event, **order)) == expected


def test_the_figures_of_an_order_with_a_fill_that_was_taken_back_are_left_to_a_poll() -> None:
    left = FillOnly(poll="a fill of the order was taken back")

    # An event that is repeated shows the order with the fill.
    assert verdict(known(filled_quantity=Decimal(7), busted_quantity=Decimal(43)), update()) == left
    assert verdict(known(busted_quantity=Decimal(0)), update("canceled", filled_qty="50", status="canceled")) == left


def test_a_rejection_while_the_order_works_is_applied_and_its_repeat_changes_nothing() -> None:
    rejected = update("rejected", status="rejected", filled_qty="0")

    assert verdict(known(filled_quantity=Decimal(0), state=State.ACCEPTED), rejected) == APPLY
    again = known(filled_quantity=Decimal(0), state=State.REJECTED, order_status="rejected", ended_at=NOW)
    assert verdict(again, rejected) == FILL_ONLY


@pytest.mark.parametrize("state", [State.QUEUED, State.HELD, State.SUBMITTING, State.UNKNOWN])
def test_an_update_that_overtakes_the_answer_waits_for_it(state: State) -> None:
    assert verdict(known(state=state, order_id=None, order_status=None), update()) == WAIT


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"current_generation": 2}, "the order is of an earlier try"),
        ({"replacement_quantity": Decimal(300)}, "the order was replaced"),
        ({"order_id": "another"}, "the record has another order under this id"),
        ({"state": State.SKIPPED}, "the order is late"),
        ({"state": State.DEAD}, "the order is late"),
        ({"state": State.CANCELED, "order_id": None}, "the order is late"),
        ({"reason_code": "late_order"}, "the order is late"),
    ],
)
def test_what_is_not_ordinary_is_left_to_a_poll(changes: dict[str, Any], why: str) -> None:
    assert verdict(known(**changes), update()) == Poll(why=why)


def test_an_unknown_order_is_left_to_a_poll_and_that_of_another_executor_to_nobody() -> None:
    assert verdict(None, update()) == Poll(why="the record does not know the order")
    assert verdict(replace(known(), executor_id="prop_firm"), update()) == NotOurs()
