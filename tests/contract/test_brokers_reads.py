"""Every broker adapter reads in the same way at a real server. A further adapter passes these tests unchanged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable, TradewireError
from pipeline.model.orders import OrderSide, OrderStatus
from tests.contract.asking import (
    LOOKUPS,
    PRICE,
    READS,
    a_minute_ago,
    ended,
    found,
    order,
    read_again,
    resting,
    until,
)
from tests.contract.stages import Fault, Kind, Stage
from workers.brokers.protocol import Absent, Accepted, Broker, Found, NoAnswer, NotSentCause


def test_what_was_never_sent_is_absent(broker: Broker) -> None:
    broker.submit(resting())

    assert broker.find("tw-nobody-1") == Absent()
    assert broker.find_in_list("tw-nobody-1", since=a_minute_ago()) == Absent()
    assert broker.order("8f7b9c52-2b11-4a6f-9a53-0d9f0c6b7a11") is None
    assert broker.position("AAPL") is None
    assert broker.positions() == []
    assert broker.asset("NOSUCHTHING") is None


def test_a_list_finds_open_and_ended_orders_by_our_id(broker: Broker) -> None:
    filled, works = order(), resting()
    for request in (filled, works):
        assert isinstance(broker.submit(request), Accepted)
    until(lambda: found(broker, filled).status is OrderStatus.FILLED)

    for request in (filled, works):
        answer = broker.find_in_list(request.client_order_id, since=a_minute_ago())
        assert isinstance(answer, Found)
        assert answer.order.client_order_id == request.client_order_id


def test_lists_are_by_status_and_time(broker: Broker) -> None:
    filled, works = order(), resting()
    for request in (filled, works):
        broker.submit(request)
    until(lambda: found(broker, filled).status is OrderStatus.FILLED)

    assert [each.client_order_id for each in broker.orders(status="open")] == [works.client_order_id]
    assert [each.client_order_id for each in broker.orders(status="closed")] == [filled.client_order_id]
    assert len(broker.orders(status="all", since=a_minute_ago())) == 2
    assert broker.orders(status="all", since=datetime.now(UTC) + timedelta(minutes=1)) == []


def test_lists_hold_more_orders_than_a_page(broker: Broker) -> None:
    requests = [resting(quantity=Decimal(1), limit_price=Decimal(1)) for _ in range(510)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(broker.submit, requests))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)

    listed = broker.orders(status="open")

    assert sorted(each.client_order_id for each in listed) == sorted(r.client_order_id for r in requests)


def test_a_working_order_is_canceled(broker: Broker) -> None:
    accepted = broker.submit(resting())
    assert isinstance(accepted, Accepted)

    assert broker.cancel(accepted.order.order_id)

    assert ended(broker, accepted.order.order_id).status is OrderStatus.CANCELED


def test_an_order_that_is_over_or_unknown_cannot_be_canceled(broker: Broker) -> None:
    accepted = broker.submit(order())
    assert isinstance(accepted, Accepted)
    ended(broker, accepted.order.order_id)

    assert not broker.cancel(accepted.order.order_id)
    assert not broker.cancel("8f7b9c52-2b11-4a6f-9a53-0d9f0c6b7a11")


def test_a_fill_shows_in_the_order_the_position_and_the_account(broker: Broker) -> None:
    before = broker.account()
    accepted = broker.submit(order(quantity=Decimal(3)))
    assert isinstance(accepted, Accepted)

    filled = ended(broker, accepted.order.order_id)

    assert filled.status is OrderStatus.FILLED
    assert (filled.filled_quantity, filled.filled_average_price) == (Decimal(3), PRICE)
    position = broker.position("AAPL")
    assert position is not None
    assert (position.symbol, position.quantity, position.available) == ("AAPL", Decimal(3), Decimal(3))
    assert position.average_entry_price == PRICE
    assert list(broker.positions()) == [position]
    assert broker.account().cash == before.cash - 3 * PRICE


def test_a_part_that_is_filled_shows(stage: Stage, broker: Broker) -> None:
    stage.fill_in_parts()
    accepted = broker.submit(order(quantity=Decimal(10)))
    assert isinstance(accepted, Accepted)

    until(lambda: read_again(broker, accepted).filled_quantity > 0)

    shown = read_again(broker, accepted)
    assert shown.status is OrderStatus.PARTIALLY_FILLED
    assert Decimal(0) < shown.filled_quantity < Decimal(10)


def test_fills_are_listed_with_what_their_order_has_filled_after_each(stage: Stage, broker: Broker) -> None:
    start = a_minute_ago()
    bought = broker.submit(order(quantity=Decimal(3)))
    assert isinstance(bought, Accepted)
    ended(broker, bought.order.order_id)
    stage.price("AAPL", PRICE + 1)
    stage.fill_in_parts()
    sold = broker.submit(order(side=OrderSide.SELL, quantity=Decimal(2)))
    assert isinstance(sold, Accepted)
    until(lambda: len(broker.fills(start)) == 2)

    first, second = broker.fills(start)

    assert (first.order_id, first.symbol, first.side) == (bought.order.order_id, "AAPL", OrderSide.BUY)
    assert (first.quantity, first.price, first.cumulative_quantity) == (Decimal(3), PRICE, Decimal(3))
    assert (second.order_id, second.side, second.price) == (sold.order.order_id, OrderSide.SELL, PRICE + 1)
    assert second.quantity == second.cumulative_quantity == read_again(broker, sold).filled_quantity
    assert first.fill_id != second.fill_id
    assert start < first.filled_at < second.filled_at
    # A fill of exactly the requested time is listed, too.
    assert broker.fills(second.filled_at) == [second]


def test_a_short_position_is_below_zero(broker: Broker) -> None:
    accepted = broker.submit(order(side=OrderSide.SELL))
    assert isinstance(accepted, Accepted)
    ended(broker, accepted.order.order_id)

    position = broker.position("AAPL")

    assert position is not None
    assert position.quantity == Decimal(-2)


def test_what_open_orders_hold_is_not_available(broker: Broker) -> None:
    accepted = broker.submit(order(quantity=Decimal(5)))
    assert isinstance(accepted, Accepted)
    ended(broker, accepted.order.order_id)
    broker.submit(order(side=OrderSide.SELL, quantity=Decimal(2), limit_price=PRICE * 2))

    position = broker.position("AAPL")

    assert position is not None
    assert (position.quantity, position.available) == (Decimal(5), Decimal(3))


def test_crypto_has_one_form_of_symbol_everywhere_and_exact_amounts(stage: Stage, broker: Broker) -> None:
    stage.price("BTC/USD", Decimal(50_000))
    amount = Decimal("0.123456789")
    bought = broker.submit(order(symbol="BTC/USD", quantity=amount, limit_price=Decimal(50_000), time_in_force="gtc"))
    assert isinstance(bought, Accepted)
    assert bought.order.symbol == "BTC/USD"

    filled = ended(broker, bought.order.order_id)

    assert (filled.quantity, filled.filled_quantity) == (amount, amount)
    position = broker.position("BTC/USD")
    asset = broker.asset("BTC/USD")
    assert position is not None
    assert asset is not None
    assert position.symbol == asset.symbol == "BTC/USD"
    assert asset.asset_class == "crypto"
    assert [each.symbol for each in broker.positions()] == ["BTC/USD"]


def test_the_account_the_clock_and_an_asset_say_what_the_rules_need(broker: Broker) -> None:
    account, clock, asset = broker.account(), broker.clock(), broker.asset("AAPL")

    assert account.number
    assert not account.blocked
    assert account.equity > 0
    assert account.buying_power >= account.cash > 0
    assert clock.timestamp.utcoffset() is not None
    assert clock.next_close > clock.timestamp
    assert asset is not None
    assert asset.tradable
    assert (asset.symbol, asset.asset_class) == ("AAPL", "us_equity")


@pytest.mark.parametrize(
    ("fault", "error", "cause"),
    [
        (Fault.OVER_RATE, BrokerUnavailable, NotSentCause.RATE_LIMITED),
        (Fault.ERROR, BrokerUnavailable, NotSentCause.UNREACHABLE),
        (Fault.CUT, BrokerUnavailable, NotSentCause.UNREACHABLE),
        (Fault.SILENCE_AFTER, BrokerUnavailable, NotSentCause.UNREACHABLE),
        (Fault.NONSENSE_AFTER, BrokerUnreadable, None),
    ],
)
def test_reads_that_fail_raise_and_lookups_say_why(
    stage: Stage, broker: Broker, fault: Fault, error: type[TradewireError], cause: NotSentCause | None
) -> None:
    stage.fault(Kind.READ, fault)
    broker = stage.open(timeout_s=0.5)

    for read in READS:
        with pytest.raises(error):
            read(broker)
    for find in LOOKUPS:
        answer = find(broker)
        assert isinstance(answer, NoAnswer)
        assert answer.cause is cause


def test_reads_of_a_broker_that_is_not_there_say_so(stage: Stage) -> None:
    broker = stage.open_at_a_closed_port()

    for read in READS:
        with pytest.raises(BrokerUnavailable):
            read(broker)
    for find in LOOKUPS:
        assert find(broker).cause is NotSentCause.UNREACHABLE


def test_reads_with_wrong_keys_say_so(stage: Stage, broker: Broker) -> None:
    broker.account()
    wrong_keys = stage.open(right_keys=False)

    for read in READS:
        with pytest.raises(BrokerRefusesAccount):
            read(wrong_keys)
    for find in LOOKUPS:
        assert find(wrong_keys).cause is NotSentCause.ACCOUNT_REFUSED


def test_an_order_that_reads_do_not_show_yet_is_absent_first_and_found_later(stage: Stage, broker: Broker) -> None:
    request = resting()
    stage.hide_new_orders()

    assert isinstance(broker.submit(request), Accepted)
    assert broker.find(request.client_order_id) == Absent()
    stage.heal()

    assert found(broker, request).client_order_id == request.client_order_id
