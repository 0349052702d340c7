"""The audit finds everything that must not be, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from pipeline.entrypoints.drill.audit import AuditFinding, AuditVerdict, Ledgers, audit

ARGO = "argo"


def an_execution(seq: int = 1, *, signal_id: UUID | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "execution_id": uuid4(),
        "seq": seq,
        "signal_id": signal_id or uuid4(),
        "executor_id": ARGO,
        "symbol": "QAAA",
        "action": "BUY",
        "state": "filled",
        "reason_code": None,
        "decided_at": None,
    } | changes


def an_intent(execution: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "execution_id": execution["execution_id"],
        "generation": 1,
        "executor_id": ARGO,
        "client_order_id": f"tw-{execution['execution_id']}-1",
        "order_id": f"order-{execution['execution_id']}",
        "symbol": execution["symbol"],
        "side": "buy",
        "quantity": "1",
        "filled_quantity": "1",
        "order_status": "filled",
    } | changes


def an_order(intent: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": intent["order_id"],
        "client_order_id": intent["client_order_id"],
        "symbol": intent["symbol"],
        "side": intent["side"],
        "status": "filled",
        "filled_qty": "1",
    } | changes


def ledgers(*executions: Mapping[str, Any], intents: Sequence[Any] = (), orders: Sequence[Any] = ()) -> Ledgers:
    """Return ledgers in which each execution has a signal that was sent."""
    ids = list(dict.fromkeys(execution["signal_id"] for execution in executions))
    return Ledgers(
        sent=[str(signal_id) for signal_id in ids],
        source="drill",
        executors=[ARGO],
        signals=[{"signal_id": each, "source": "drill", "source_id": str(each)} for each in ids],
        executions=executions,
        orders=intents,
        held={ARGO: orders},
    )


def one(found: Sequence[AuditFinding], verdict: AuditVerdict, what: str) -> None:
    assert [(verdict, what)] == [(finding.verdict, finding.what) for finding in found]


def test_an_order_and_a_reason_are_both_an_end() -> None:
    filled = an_execution(1)
    skipped = an_execution(2, state="skipped", reason_code="no_position")
    dead = an_execution(3, state="dead", reason_code="attempts_used_up")
    intent = an_intent(filled)

    assert audit(ledgers(filled, skipped, dead, intents=[intent], orders=[an_order(intent)])) == []


def test_a_sent_signal_that_is_not_recorded_is_lost() -> None:
    one(audit(replace(ledgers(), sent=["000001"])), AuditVerdict.LOST, "signal not recorded")


def test_a_signal_without_an_execution_is_lost() -> None:
    books = ledgers(an_execution(state="skipped", reason_code="no_position"))

    one(audit(replace(books, executors=[ARGO, "other"])), AuditVerdict.LOST, "signal without an execution")


@pytest.mark.parametrize("state", ["queued", "held", "submitting", "unknown"])
def test_an_execution_without_an_end_is_lost(state: str) -> None:
    books = ledgers(an_execution(state=state, reason_code="broker_away"))

    one(audit(books), AuditVerdict.LOST, "execution without an end")


def test_a_recorded_order_that_the_exchange_does_not_have_is_lost() -> None:
    execution = an_execution()

    found = audit(ledgers(execution, intents=[an_intent(execution)]))

    one(found, AuditVerdict.LOST, "recorded order that the exchange does not have")


def test_a_signal_recorded_twice_is_doubled() -> None:
    books = ledgers(an_execution(state="skipped", reason_code="no_position"))
    again = an_execution(2, state="skipped", reason_code="no_position")
    twice = [*books.signals, dict(books.signals[0]) | {"signal_id": again["signal_id"]}]

    found = audit(replace(books, signals=twice, executions=[*books.executions, again]))

    one(found, AuditVerdict.DOUBLED, "signal recorded twice")


def test_two_executions_of_a_signal_are_doubled() -> None:
    first = an_execution(1, state="skipped", reason_code="no_position")
    second = an_execution(2, signal_id=first["signal_id"], state="skipped", reason_code="no_position")

    one(audit(ledgers(first, second)), AuditVerdict.DOUBLED, "two executions of a signal")


def test_two_orders_of_one_execution_are_doubled() -> None:
    execution = an_execution()
    intent = an_intent(execution)
    second = an_intent(execution, generation=2, client_order_id="second", order_id="second")

    found = audit(ledgers(execution, intents=[intent, second], orders=[an_order(intent), an_order(second)]))

    one(found, AuditVerdict.DOUBLED, "two orders of one execution")


def test_two_orders_under_one_client_id_are_doubled() -> None:
    execution = an_execution()
    intent = an_intent(execution)

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent), an_order(intent, id="other")]))

    one(found, AuditVerdict.DOUBLED, "two orders under one client id")


def test_an_end_without_an_order_and_without_a_reason_is_unexplained() -> None:
    one(audit(ledgers(an_execution())), AuditVerdict.UNEXPLAINED, "ended without an order and without a reason")


def test_an_order_that_the_record_does_not_know_is_unexplained() -> None:
    foreign = an_order({"order_id": "x", "client_order_id": "y", "symbol": "QAAA", "side": "buy"})

    found = audit(ledgers(orders=[foreign]))

    one(found, AuditVerdict.UNEXPLAINED, "order at the exchange that the record does not know")


def test_an_order_whose_id_is_not_recorded_is_unexplained() -> None:
    execution = an_execution(state="filled", reason_code="late_order")
    intent = an_intent(execution, order_id=None)

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, id="order")]))

    one(found, AuditVerdict.UNEXPLAINED, "order at the exchange whose id is not recorded")


@pytest.mark.parametrize(
    ("state", "status"), [("dead", "filled"), ("skipped", "new"), ("accepted", "filled"), ("filled", "canceled")]
)
def test_an_execution_that_says_otherwise_than_its_order_is_unexplained(state: str, status: str) -> None:
    execution = an_execution(state=state, reason_code="some_reason")
    intent = an_intent(execution)

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, status=status)]))

    one(found, AuditVerdict.UNEXPLAINED, "order of which the execution says otherwise")


@pytest.mark.parametrize("status", ["new", "accepted", "pending_new", "pending_cancel"])
def test_an_order_that_works_is_an_accepted_execution(status: str) -> None:
    execution = an_execution(state="accepted")
    intent = an_intent(execution, filled_quantity="0")

    assert audit(ledgers(execution, intents=[intent], orders=[an_order(intent, status=status, filled_qty="0")])) == []


def test_filled_quantities_that_differ_are_unexplained() -> None:
    execution = an_execution()
    intent = an_intent(execution, filled_quantity="2")

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, filled_qty="3")]))

    one(found, AuditVerdict.UNEXPLAINED, "order filled for another quantity than recorded")


def test_quantities_are_compared_as_numbers() -> None:
    execution = an_execution()
    intent = an_intent(execution, filled_quantity="1.000")

    assert audit(ledgers(execution, intents=[intent], orders=[an_order(intent)])) == []


def test_an_order_for_something_else_is_unexplained() -> None:
    execution = an_execution()
    intent = an_intent(execution)

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, side="sell")]))

    one(found, AuditVerdict.UNEXPLAINED, "order for something else")


def test_orders_of_a_symbol_in_another_order_than_their_signals_are_unexplained() -> None:
    first, second = an_execution(1), an_execution(2)
    intents = [an_intent(first), an_intent(second)]

    found = audit(ledgers(first, second, intents=intents, orders=[an_order(intent) for intent in reversed(intents)]))

    one(found, AuditVerdict.UNEXPLAINED, "order sent out of its symbol's order")


def test_orders_of_different_symbols_may_come_in_any_order() -> None:
    first, second = an_execution(1), an_execution(2, symbol="QAAB")
    intents = [an_intent(first), an_intent(second)]

    assert (
        audit(ledgers(first, second, intents=intents, orders=[an_order(intent) for intent in reversed(intents)])) == []
    )


def test_what_is_lost_is_told_first() -> None:
    unexplained, lost = an_execution(1), an_execution(2, state="queued")

    assert [finding.verdict for finding in audit(ledgers(unexplained, lost))] == [
        AuditVerdict.LOST,
        AuditVerdict.UNEXPLAINED,
    ]


def test_a_finding_names_what_is_needed_to_hunt_it() -> None:
    execution = an_execution(state="unknown", reason_code="no_answer")

    (finding,) = audit(ledgers(execution))

    assert str(execution["execution_id"]) in str(finding)
    assert finding.to_json()["reason_code"] == "no_answer"
