"""Every broker adapter reads days, prices and cash movements, and cancels all orders, at a real server."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from pipeline.model.orders import OrderSide, OrderStatus
from tests.contract.asking import PRICE, a_minute_ago, ended, order, resting
from tests.contract.stages import Stage
from workers.brokers.protocol import Accepted, Broker


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_calendar_leaves_holidays_out_and_closes_early_on_half_days(broker: Broker) -> None:
    sessions = broker.calendar(date(2026, 11, 25), date(2026, 11, 30))

    assert [(each.date, each.opens, each.closes) for each in sessions] == [
        (date(2026, 11, 25), utc("2026-11-25 14:30"), utc("2026-11-25 21:00")),
        (date(2026, 11, 27), utc("2026-11-27 14:30"), utc("2026-11-27 18:00")),
        (date(2026, 11, 30), utc("2026-11-30 14:30"), utc("2026-11-30 21:00")),
    ]


def test_the_calendar_is_right_on_both_sides_of_a_daylight_saving_night(broker: Broker) -> None:
    spring = broker.calendar(date(2026, 3, 6), date(2026, 3, 9))
    autumn = broker.calendar(date(2026, 10, 30), date(2026, 11, 2))

    assert [each.opens for each in spring] == [utc("2026-03-06 14:30"), utc("2026-03-09 13:30")]
    assert [each.opens for each in autumn] == [utc("2026-10-30 13:30"), utc("2026-11-02 14:30")]
    assert [each.closes for each in (*spring, *autumn)] == [
        utc("2026-03-06 21:00"),
        utc("2026-03-09 20:00"),
        utc("2026-10-30 20:00"),
        utc("2026-11-02 21:00"),
    ]


def test_a_weekend_has_no_session(broker: Broker) -> None:
    assert broker.calendar(date(2026, 11, 21), date(2026, 11, 22)) == []


def test_deposits_and_withdrawals_are_listed_signed_and_in_their_order(stage: Stage, broker: Broker) -> None:
    before = broker.account()
    stage.transfer(Decimal("1000.50"))
    stage.transfer(Decimal(-300))

    listed = broker.transfers(a_minute_ago())

    assert [each.amount for each in listed] == [Decimal("1000.50"), Decimal(-300)]
    assert len({each.transfer_id for each in listed}) == 2
    assert all(a_minute_ago() < each.at <= datetime.now(UTC) for each in listed)
    assert broker.account().cash == broker.account().equity == before.cash + Decimal("700.50")
    assert broker.account().last_equity == before.last_equity


def test_transfers_are_those_since_the_asked_time_under_lasting_ids(stage: Stage, broker: Broker) -> None:
    broker.account()
    stage.transfer(Decimal(100))

    first, again = broker.transfers(a_minute_ago()), broker.transfers(a_minute_ago())

    assert first == again
    assert broker.transfers(datetime.now(UTC) + timedelta(minutes=1)) == []


def test_a_transfer_of_a_day_is_listed_from_any_time_of_that_day(stage: Stage, broker: Broker) -> None:
    broker.account()
    stage.transfer(Decimal(-40), day=date(2026, 3, 9))

    (listed,) = broker.transfers(utc("2026-03-09 19:00"))

    assert (listed.amount, listed.at) == (Decimal(-40), utc("2026-03-09 04:00"))
    # At 03:30 UTC on 10 March it is still 9 March in New York.
    assert broker.transfers(utc("2026-03-10 03:30")) == [listed]
    assert broker.transfers(utc("2026-03-10 04:30")) == []


def test_trades_are_no_transfers_and_more_than_a_page_of_transfers_is_read(stage: Stage, broker: Broker) -> None:
    accepted = broker.submit(order())
    assert isinstance(accepted, Accepted)
    ended(broker, accepted.order.order_id)
    for number in range(1, 122):
        stage.transfer(Decimal(number))

    assert [each.amount for each in broker.transfers(a_minute_ago())] == [Decimal(number) for number in range(1, 122)]


def test_the_price_is_the_markets_and_unknown_for_a_symbol_without_trades(stage: Stage, broker: Broker) -> None:
    stage.price("BTC/USD", Decimal("50000.25"))

    assert broker.price("AAPL") == PRICE
    assert broker.price("BTC/USD") == Decimal("50000.25")
    assert broker.price("ZZZZ") is None
    assert broker.price("DOGE/USD") is None
    assert broker.price("NOSUCHTHING") is None
    stage.price("AAPL", Decimal("99.99"))
    assert broker.price("AAPL") == Decimal("99.99")


def test_what_a_position_would_earn_is_signed(stage: Stage, broker: Broker) -> None:
    for symbol, side in (("AAPL", OrderSide.BUY), ("TSLA", OrderSide.SELL)):
        stage.price(symbol, PRICE)
        accepted = broker.submit(order(symbol=symbol, side=side))
        assert isinstance(accepted, Accepted)
        ended(broker, accepted.order.order_id)
        stage.price(symbol, PRICE - 3)

    assert {each.symbol: each.unrealised for each in broker.positions()} == {"AAPL": Decimal(-6), "TSLA": Decimal(6)}


def test_all_open_orders_are_canceled_at_once(broker: Broker) -> None:
    works = [broker.submit(resting()) for _ in range(3)]
    filled = broker.submit(order())
    assert isinstance(filled, Accepted)
    ended(broker, filled.order.order_id)

    assert broker.cancel_all() == 3

    for outcome in works:
        assert isinstance(outcome, Accepted)
        assert ended(broker, outcome.order.order_id).status is OrderStatus.CANCELED
    assert broker.cancel_all() == 0
