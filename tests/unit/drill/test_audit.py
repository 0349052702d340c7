"""The audit finds every fault, and reports no other finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from pipeline.entrypoints.drill.audit import audit
from pipeline.entrypoints.drill.findings import AuditFinding, AuditVerdict
from pipeline.entrypoints.drill.ledgers import AuditedExecution, AuditedIntent, AuditedSignal, HeldOrder, Ledgers
from pipeline.entrypoints.drill.result import result_of
from pipeline.model.states import State

ARGO = "argo"


def an_execution(seq: int = 1, **changes: Any) -> AuditedExecution:
    filled = AuditedExecution(
        execution_id=uuid4(),
        seq=seq,
        signal_id=uuid4(),
        executor_id=ARGO,
        symbol="QAAA",
        state=State.FILLED,
        reason_code=None,
        decided_at=None,
    )
    return replace(filled, **changes)


def an_intent(execution: AuditedExecution, **changes: Any) -> AuditedIntent:
    filled = AuditedIntent(
        execution_id=execution.execution_id,
        executor_id=ARGO,
        client_order_id=f"tw-{execution.execution_id}-1",
        order_id=f"order-{execution.execution_id}",
        symbol=execution.symbol,
        side="buy",
        filled_quantity=Decimal(1),
    )
    return replace(filled, **changes)


def an_order(intent: AuditedIntent, **changes: Any) -> HeldOrder:
    filled = {
        "id": intent.order_id,
        "client_order_id": intent.client_order_id,
        "symbol": intent.symbol,
        "side": intent.side,
        "status": "filled",
        "filled_qty": "1",
    }
    return HeldOrder.model_validate(filled | changes)


def ledgers(
    *executions: AuditedExecution, intents: Sequence[AuditedIntent] = (), orders: Sequence[HeldOrder] = ()
) -> Ledgers:
    """Return ledgers in which each execution belongs to a sent signal."""
    ids = list(dict.fromkeys(execution.signal_id for execution in executions))
    return Ledgers(
        sent=[str(signal_id) for signal_id in ids],
        source="drill",
        executors=[ARGO],
        signals=[AuditedSignal(signal_id=each, source="drill", source_id=str(each)) for each in ids],
        executions=executions,
        intents=intents,
        held={ARGO: orders},
    )


def one(found: Sequence[AuditFinding], verdict: AuditVerdict, what: str) -> None:
    assert [(verdict, what)] == [(finding.verdict, finding.what) for finding in found]


def test_an_order_and_a_reason_are_both_an_end() -> None:
    filled = an_execution(1)
    skipped = an_execution(2, state=State.SKIPPED, reason_code="no_position")
    dead = an_execution(3, state=State.DEAD, reason_code="attempts_used_up")
    intent = an_intent(filled)

    assert audit(ledgers(filled, skipped, dead, intents=[intent], orders=[an_order(intent)])) == []


def test_a_sent_signal_that_is_not_recorded_is_lost() -> None:
    one(audit(replace(ledgers(), sent=["000001"])), AuditVerdict.LOST, "signal not recorded")


def test_a_signal_without_an_execution_is_lost() -> None:
    books = ledgers(an_execution(state=State.SKIPPED, reason_code="no_position"))

    one(audit(replace(books, executors=[ARGO, "other"])), AuditVerdict.LOST, "signal without an execution")


@pytest.mark.parametrize("state", ["queued", "held", "submitting", "unknown"])
def test_an_execution_without_an_end_is_lost(state: str) -> None:
    books = ledgers(an_execution(state=State(state), reason_code="broker_away"))

    one(audit(books), AuditVerdict.LOST, "execution without an end")


def test_a_recorded_order_that_the_exchange_does_not_have_is_lost() -> None:
    execution = an_execution()

    found = audit(ledgers(execution, intents=[an_intent(execution)]))

    one(found, AuditVerdict.LOST, "recorded order that the exchange does not have")


def test_a_signal_recorded_twice_is_doubled() -> None:
    books = ledgers(an_execution(state=State.SKIPPED, reason_code="no_position"))
    again = an_execution(2, state=State.SKIPPED, reason_code="no_position")
    twice = [*books.signals, replace(books.signals[0], signal_id=again.signal_id)]

    found = audit(replace(books, signals=twice, executions=[*books.executions, again]))

    one(found, AuditVerdict.DOUBLED, "signal recorded twice")


def test_two_executions_of_a_signal_are_doubled() -> None:
    first = an_execution(1, state=State.SKIPPED, reason_code="no_position")
    second = an_execution(2, signal_id=first.signal_id, state=State.SKIPPED, reason_code="no_position")

    one(audit(ledgers(first, second)), AuditVerdict.DOUBLED, "two executions of a signal")


def test_two_orders_of_one_execution_are_doubled() -> None:
    execution = an_execution()
    intent = an_intent(execution)
    second = an_intent(execution, client_order_id="second", order_id="second")

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
    foreign = an_order(an_intent(an_execution()))

    found = audit(ledgers(orders=[foreign]))

    one(found, AuditVerdict.UNEXPLAINED, "order at the exchange that the record does not know")


def test_an_order_that_the_drill_placed_by_hand_is_no_finding() -> None:
    by_hand = an_order(an_intent(an_execution()), client_order_id="by-hand-argo-QAAA-1.000", filled_qty="0")

    assert audit(ledgers(orders=[by_hand])) == []


def test_an_order_whose_id_is_not_recorded_is_unexplained() -> None:
    execution = an_execution(state=State.FILLED, reason_code="late_order")
    intent = an_intent(execution, order_id=None)

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, id="order")]))

    one(found, AuditVerdict.UNEXPLAINED, "order at the exchange whose id is not recorded")


@pytest.mark.parametrize(
    ("state", "status"), [("dead", "filled"), ("skipped", "new"), ("accepted", "filled"), ("filled", "canceled")]
)
def test_an_execution_whose_state_differs_from_its_order_is_unexplained(state: str, status: str) -> None:
    execution = an_execution(state=State(state), reason_code="some_reason")
    intent = an_intent(execution)

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, status=status)]))

    one(found, AuditVerdict.UNEXPLAINED, "order and execution have different states")


@pytest.mark.parametrize("status", ["new", "accepted", "pending_new", "pending_cancel"])
def test_an_order_that_works_is_an_accepted_execution(status: str) -> None:
    execution = an_execution(state=State.ACCEPTED)
    intent = an_intent(execution, filled_quantity=Decimal(0))

    assert audit(ledgers(execution, intents=[intent], orders=[an_order(intent, status=status, filled_qty="0")])) == []


def test_filled_quantities_that_differ_are_unexplained() -> None:
    execution = an_execution()
    intent = an_intent(execution, filled_quantity=Decimal(2))

    found = audit(ledgers(execution, intents=[intent], orders=[an_order(intent, filled_qty="3")]))

    one(found, AuditVerdict.UNEXPLAINED, "order filled for another quantity than recorded")


def test_quantities_are_compared_as_numbers() -> None:
    execution = an_execution()
    intent = an_intent(execution, filled_quantity=Decimal("1.000"))

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

    one(found, AuditVerdict.UNEXPLAINED, "order sent after that of a later signal")


def test_a_stop_order_may_overtake_a_held_exit() -> None:
    held, stop = an_execution(1), an_execution(2, protects=True)
    intents = [an_intent(held), an_intent(stop)]

    assert audit(ledgers(held, stop, intents=intents, orders=[an_order(intent) for intent in reversed(intents)])) == []


def test_orders_of_different_symbols_may_come_in_any_order() -> None:
    first, second = an_execution(1), an_execution(2, symbol="QAAB")
    intents = [an_intent(first), an_intent(second)]

    assert (
        audit(ledgers(first, second, intents=intents, orders=[an_order(intent) for intent in reversed(intents)])) == []
    )


def test_lost_findings_come_first() -> None:
    unexplained, lost = an_execution(1), an_execution(2, state=State.QUEUED)

    assert [finding.verdict for finding in audit(ledgers(unexplained, lost))] == [
        AuditVerdict.LOST,
        AuditVerdict.UNEXPLAINED,
    ]


def test_a_finding_names_the_execution_and_its_reason() -> None:
    execution = an_execution(state=State.UNKNOWN, reason_code="no_answer")

    (finding,) = audit(ledgers(execution))

    assert str(execution.execution_id) in str(finding)
    assert finding.to_json()["reason_code"] == "no_answer"


def test_every_execution_is_counted_as_an_order_or_as_a_reason() -> None:
    filled, skipped = an_execution(1), an_execution(2, state=State.SKIPPED, reason_code="no_position")
    intent = an_intent(filled)

    result = result_of(ledgers(filled, skipped, intents=[intent], orders=[an_order(intent)]), seed=1, findings=[])

    assert (result.executions, result.added, result.orders, result.reasons) == (2, 0, 1, {"no_position": 1})


def test_the_next_try_of_an_exit_is_an_execution_that_tradewire_added() -> None:
    rejected, again = an_execution(1, state=State.REJECTED, reason_code="rejected_by_broker"), an_execution(2)
    intents = [an_intent(rejected), an_intent(again)]
    orders = [an_order(intents[0], status="rejected"), an_order(intents[1])]
    books = ledgers(rejected, again, intents=intents, orders=orders)
    sent, own = books.signals
    books = replace(books, sent=[str(sent.signal_id)], signals=[sent, replace(own, source="tradewire:exit")])

    result = result_of(books, seed=1, findings=[])

    assert (result.sent, result.accepted, result.executions, result.added, result.orders) == (1, 1, 2, 1, 2)
    assert result.reasons == {}
