from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.orders import BrokerOrder, OrderSide, OrderStatus
from pipeline.model.states import MOVES, State
from pipeline.store.rows import Role
from workers.brokers.protocol import Accepted, Duplicate, NotSent, NotSentCause, Outcome, Rejected, Unknown
from workers.rules.retry_policy import (
    FIRST_LOOKUP,
    LONGEST_HOLD,
    STATE_OF,
    Transition,
    after_submit,
    broker_hold,
    lookup_gap,
    may_send_again,
    settled_by,
)

YOUNG = timedelta(seconds=0.1)


def order(status: OrderStatus = OrderStatus.WORKING, raw_status: str = "new") -> BrokerOrder:
    return BrokerOrder(
        order_id="1",
        client_order_id="tw-1-1",
        symbol="AAPL",
        side=OrderSide.BUY,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        filled_average_price=None,
        status=status,
        raw_status=raw_status,
        created_at=datetime(2026, 1, 31, tzinfo=UTC),
    )


def after(outcome: Outcome, *, age: timedelta = YOUNG, role: Role = Role.ENTRY) -> Transition:
    return after_submit(outcome, age=age, role=role, quantity=Decimal(1))


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        ("working", "accepted", None),
        ("unrecognised", "accepted", None),
        ("partially_filled", "partially_filled", None),
        ("filled", "filled", None),
        ("canceled", "canceled", "canceled_at_broker"),
        ("replaced", "canceled", "canceled_at_broker"),
        ("expired", "expired", "expired_at_broker"),
        ("rejected", "rejected", "rejected_by_broker"),
    ],
)
def test_an_order_that_the_broker_holds_decides(status: str, state: str, code: str | None) -> None:
    held = order(OrderStatus(status), raw_status="its_word")

    for move in (after(Accepted(order=held)), settled_by(held)):
        assert (move.state, move.order, move.due_in, move.may_exist) == (State(state), held, None, True)
        assert (move.reason.code if move.reason else None) == code
        assert move.reason is None or move.reason.facts == {"order_status": "its_word"}


def test_every_status_has_a_state() -> None:
    assert set(STATE_OF) == set(OrderStatus)


def test_a_refused_order_ends_with_the_brokers_words() -> None:
    move = after(Rejected(status=403, message="insufficient buying power", code=40310000))

    assert (move.state, move.attempts, str(move.reason)) == (
        State.REJECTED,
        1,
        'rejected_by_broker http=403 says="insufficient buying power" code=40310000',
    )


@pytest.mark.parametrize(
    ("outcome", "code", "due_in"),
    [
        (Unknown(message="timeout"), "no_answer", FIRST_LOOKUP),
        (Duplicate(message="must be unique"), "duplicate_id", YOUNG * 0),
    ],
)
def test_an_answer_that_does_not_say_leaves_it_unknown_and_is_an_attempt(
    outcome: Outcome, code: str, due_in: timedelta
) -> None:
    move = after(outcome)

    assert (move.state, move.attempts, move.due_in, move.may_exist) == (State.UNKNOWN, 1, due_in, True)
    assert move.reason is not None
    assert move.reason.code == code


@pytest.mark.parametrize(
    ("cause", "retry_after_s", "code", "wait_s"),
    [
        ("unreachable", None, "broker_away", 0.5),
        ("unreachable", 30, "broker_away", 0.5),
        ("rate_limited", None, "rate_limited", 0.5),
        ("rate_limited", 2, "rate_limited", 2),
        ("rate_limited", 0, "rate_limited", 0.5),
        ("rate_limited", 86400, "rate_limited", 60),
        ("account_refused", None, "entries_refused", 60),
        ("position_changed", None, "account_unreadable", 0.5),
    ],
)
def test_what_was_not_sent_is_held_and_is_no_attempt(
    cause: str, retry_after_s: float | None, code: str, wait_s: float
) -> None:
    move = after(NotSent(cause=NotSentCause(cause), message="no", retry_after_s=retry_after_s))

    assert (move.state, move.attempts, move.may_exist) == (State.HELD, 0, False)
    assert move.reason is not None
    assert (move.reason.code, move.due_in) == (code, timedelta(seconds=wait_s))


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 0.5), (2, 1), (20, 10), (86400, 15)])
def test_an_exit_that_is_refused_for_more_than_itself_is_tried_again_soon(age_s: float, wait_s: float) -> None:
    refused = NotSent(cause=NotSentCause.ACCOUNT_REFUSED, message="account is restricted to liquidation only")

    move = after(refused, age=timedelta(seconds=age_s), role=Role.EXIT)

    assert (move.state, move.due_in) == (State.HELD, timedelta(seconds=wait_s))
    assert move.reason is not None
    assert move.reason.code == "broker_refuses_account"


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 0.5), (0.9, 0.5), (2, 1), (6, 3), (10, 5), (86400, 5)])
def test_holds_for_a_broker_that_is_away_grow_to_five_seconds(age_s: float, wait_s: float) -> None:
    assert broker_hold(age=timedelta(seconds=age_s)) == timedelta(seconds=wait_s)


@pytest.mark.parametrize(("lookups", "gap_s"), [(0, 0.3), (1, 0.6), (2, 1.2), (3, 2.4), (4, 4.8), (5, 5), (10**9, 5)])
def test_gaps_between_look_ups_grow_to_five_seconds(lookups: int, gap_s: float) -> None:
    assert lookup_gap(lookups) == timedelta(seconds=gap_s)


TEXT = st.text(max_size=1000)
OUTCOMES: st.SearchStrategy[Any] = st.one_of(
    st.builds(Rejected, status=st.integers(400, 499), message=TEXT, code=st.none() | st.integers()),
    st.builds(NotSent, cause=st.sampled_from(NotSentCause), message=TEXT, retry_after_s=st.none() | st.floats(0, 1e6)),
    st.builds(Unknown, message=TEXT),
    st.builds(Duplicate, message=TEXT),
    st.builds(Accepted, order=st.sampled_from([order(status) for status in OrderStatus])),
)


@given(outcome=OUTCOMES, age=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9)))
def test_every_answer_leads_to_an_allowed_state_with_what_that_state_needs(outcome: Outcome, age: timedelta) -> None:
    move = after(outcome, age=age)

    assert move.state in MOVES[State.SUBMITTING]
    assert (move.due_in is not None) == (move.state in {State.HELD, State.UNKNOWN})
    if move.state in {State.HELD, State.UNKNOWN, State.REJECTED, State.CANCELED, State.EXPIRED}:
        assert move.reason is not None
        assert len(str(move.reason.facts.get("says", ""))) <= 300
    if move.state is State.HELD:
        assert move.due_in is not None
        assert timedelta(seconds=0.5) <= move.due_in <= max(LONGEST_HOLD, timedelta(seconds=60))
    # Only an order that certainly did not reach the broker is ruled out.
    assert move.may_exist != isinstance(outcome, NotSent)


@pytest.mark.parametrize(
    ("absences", "since_sent_s", "again"),
    [(0, 60.0, False), (1, 60.0, False), (2, 1.4, False), (2, 1.5, True), (3, 600.0, True)],
)
def test_an_order_is_sent_again_after_two_absences_and_long_enough_after_its_send(
    absences: int, since_sent_s: float, *, again: bool
) -> None:
    assert may_send_again(absences=absences, since_sent=timedelta(seconds=since_sent_s)) == again
