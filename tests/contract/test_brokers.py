"""Every broker adapter handles orders in the same way at a real server. A further adapter passes these tests unchanged.

The cases are numbered over all files of the suite, so that an adapter can skip one by its number.
"""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from pipeline.model.orders import OrderRequest, OrderSide
from tests.contract.asking import (
    a_minute_ago,
    ended,
    found,
    order,
    resting,
)
from tests.contract.conftest import STAGES
from tests.contract.stages import Fault, Kind, Stage
from workers.brokers.protocol import (
    Absent,
    Accepted,
    Broker,
    Duplicate,
    Found,
    NotSent,
    NotSentCause,
    Rejected,
    Unknown,
)
from workers.brokers.registry import registered_brokers


def test_every_adapter_has_a_stage_to_be_shown_on() -> None:
    assert set(registered_brokers()) == set(STAGES) != set()


def test_an_accepted_order_has_an_id_and_is_found_by_ours(broker: Broker) -> None:
    request = resting()

    outcome = broker.submit(request)

    assert isinstance(outcome, Accepted)
    assert outcome.order.order_id
    assert outcome.order.client_order_id == request.client_order_id
    assert (outcome.order.symbol, outcome.order.side) == ("AAPL", OrderSide.BUY)
    assert outcome.order.quantity == Decimal(2)
    assert outcome.order.raw_status
    assert found(broker, request).order_id == outcome.order.order_id


def test_a_second_try_with_the_same_id_is_a_duplicate_and_no_second_order(broker: Broker) -> None:
    request = resting()
    first = broker.submit(request)

    second = broker.submit(request)

    assert isinstance(first, Accepted)
    assert isinstance(second, Duplicate)
    assert [each.order_id for each in broker.orders(status="all")] == [first.order.order_id]


@pytest.mark.parametrize("end", ["filled", "canceled"])
def test_an_id_stays_taken_when_its_order_is_over(broker: Broker, end: str) -> None:
    request = order() if end == "filled" else resting()
    accepted = broker.submit(request)
    assert isinstance(accepted, Accepted)
    if end == "canceled":
        broker.cancel(accepted.order.order_id)
    ended(broker, accepted.order.order_id)

    assert isinstance(broker.submit(request), Duplicate)


@pytest.mark.parametrize(
    "request_",
    [
        order(quantity=Decimal(1_000_000)),
        order(quantity=Decimal(0)),
        order(limit_price=Decimal("100.12345")),
        order(symbol="NOSUCHTHING"),
    ],
    ids=["buying power", "quantity", "price", "symbol"],
)
def test_an_order_that_the_broker_will_not_have_is_rejected_with_its_words(
    broker: Broker, request_: OrderRequest
) -> None:
    outcome = broker.submit(request_)

    assert isinstance(outcome, Rejected)
    assert outcome.message
    assert broker.orders(status="all") == []


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER, Fault.ERROR_AFTER, Fault.NONSENSE_AFTER, Fault.SILENCE_AFTER])
def test_an_order_that_was_taken_without_a_clear_answer_is_unknown_and_found(
    stage: Stage, broker: Broker, fault: Fault
) -> None:
    request = resting()
    stage.fault(Kind.SUBMIT, fault)

    outcome = stage.open(timeout_s=1).submit(request)

    assert isinstance(outcome, Unknown)
    stage.heal()
    assert found(broker, request).quantity == request.quantity
    assert isinstance(broker.find_in_list(request.client_order_id, since=a_minute_ago()), Found)
    assert isinstance(broker.submit(request), Duplicate)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.ERROR])
def test_an_order_that_got_lost_is_unknown_and_absent_and_may_go_again(
    stage: Stage, broker: Broker, fault: Fault
) -> None:
    request = resting()
    stage.fault(Kind.SUBMIT, fault)

    outcome = broker.submit(request)

    assert isinstance(outcome, Unknown)
    stage.heal()
    assert broker.find(request.client_order_id) == Absent()
    assert broker.find_in_list(request.client_order_id, since=a_minute_ago()) == Absent()
    assert isinstance(broker.submit(request), Accepted)


def test_over_the_rate_nothing_is_sent(stage: Stage, broker: Broker) -> None:
    request = resting()
    stage.fault(Kind.SUBMIT, Fault.OVER_RATE)

    outcome = broker.submit(request)

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.RATE_LIMITED
    stage.heal()
    assert broker.orders(status="all") == []


def test_silence_is_given_up_within_the_time_limit(stage: Stage, broker: Broker) -> None:
    stage.fault(Kind.SUBMIT, Fault.SILENCE_AFTER)
    impatient = stage.open(timeout_s=0.5)
    before = time.monotonic()

    assert isinstance(impatient.submit(resting()), Unknown)

    # Ten times the limit is allowed, because the test is whether the call ends, not how fast.
    assert time.monotonic() - before < 5


def test_an_address_that_refuses_connections_gets_no_order(stage: Stage) -> None:
    broker = stage.open_at_a_closed_port()

    outcome = broker.submit(order())

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.UNREACHABLE


def test_with_wrong_keys_nothing_is_sent(stage: Stage, broker: Broker) -> None:
    broker.account()

    outcome = stage.open(right_keys=False).submit(order())

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.ACCOUNT_REFUSED
    assert broker.orders(status="all") == []


def test_an_account_that_may_not_trade_is_not_a_rejected_order(stage: Stage, broker: Broker) -> None:
    broker.account()
    stage.block_account()

    outcome = broker.submit(order())

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.ACCOUNT_REFUSED
    assert broker.account().blocked


def test_threads_that_share_a_broker_get_their_own_answers(broker: Broker) -> None:
    requests = [resting(quantity=Decimal(1), limit_price=Decimal(1)) for _ in range(64)]

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(broker.submit, requests))

    for request, outcome in zip(requests, outcomes, strict=True):
        assert isinstance(outcome, Accepted)
        assert outcome.order.client_order_id == request.client_order_id


def test_a_closed_broker_can_be_closed_again(broker: Broker) -> None:
    broker.account()

    broker.close()
    broker.close()


def test_a_broker_holds_keys_and_is_not_pickled(broker: Broker) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(broker)
