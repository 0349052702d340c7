"""The paper exchange's market clock, and its orders while the market is closed."""

from __future__ import annotations

from datetime import datetime

import pytest
from alpaca.trading.client import TradingClient

from tests.exchange_client import build_client, ended, limit, market
from tests.exchange_fixtures import ExchangeProcess

SATURDAY, MONDAY, MONDAY_EVENING = "2026-11-21T12:00:00-05:00", "2026-11-23T10:00:00-05:00", "2026-11-23T21:00:00-05:00"
PRE_MARKET, HALF_DAY = "2026-11-23T08:00:00-05:00", "2026-11-27T13:00:01-05:00"


@pytest.fixture
def broker(exchange_process: ExchangeProcess) -> TradingClient:
    exchange_process.admin("prices", {"AAPL": "100"})
    return build_client(exchange_process)


def at(exchange: ExchangeProcess, now: str) -> None:
    exchange.admin("clock", {"mode": "fixed", "now": now})


def test_it_is_always_open_by_default(broker: TradingClient) -> None:
    clock = broker.get_clock()

    assert clock.is_open
    assert clock.timestamp < clock.next_close


def test_a_fixed_clock_runs_on_from_its_time_by_the_calendar(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, SATURDAY)
    clock = broker.get_clock()

    assert not clock.is_open
    assert 0 <= (clock.timestamp - datetime.fromisoformat(SATURDAY)).total_seconds() < 10
    assert clock.next_open.isoformat() == "2026-11-23T09:30:00-05:00"
    assert clock.next_close.isoformat() == "2026-11-23T16:00:00-05:00"


def test_an_order_on_shares_waits_for_the_open(broker: TradingClient, exchange_process: ExchangeProcess) -> None:
    at(exchange_process, SATURDAY)
    waits = broker.submit_order(limit("AAPL", 1, "buy", 100))
    at(exchange_process, MONDAY)

    assert waits.status == "accepted"
    ended(broker, waits)


def test_an_order_that_waits_can_be_canceled_but_not_replaced(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, SATURDAY)
    waits = broker.submit_order(limit("AAPL", 1, "buy", 100))
    with pytest.raises(Exception, match="cannot replace order in accepted status"):
        broker.replace_order_by_id(waits.id)
    broker.cancel_order_by_id(waits.id)

    ended(broker, waits, "canceled")


def test_a_coin_trades_on_a_saturday(broker: TradingClient, exchange_process: ExchangeProcess) -> None:
    at(exchange_process, SATURDAY)

    ended(broker, broker.submit_order(limit("BTC/USD", 1, "buy", 100, time_in_force="gtc")))


def test_a_day_order_expires_at_the_close_and_a_gtc_order_does_not(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, MONDAY)
    day = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 90)), "new")
    gtc = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 90, time_in_force="gtc")), "new")
    at(exchange_process, MONDAY_EVENING)

    ended(broker, day, "expired")
    assert broker.get_order_by_id(gtc.id).status == "new"
    assert broker.get_account().buying_power == "399910"


def test_an_extended_hours_order_trades_before_the_open_and_another_waits(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, PRE_MARKET)
    extended = broker.submit_order(limit("AAPL", 1, "buy", 100, extended_hours=True))
    regular = broker.submit_order(limit("AAPL", 1, "buy", 100))

    ended(broker, extended)
    assert broker.get_order_by_id(regular.id).status == "accepted"


def test_auction_orders_fill_at_the_open_and_at_the_close(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, PRE_MARKET)
    opening = broker.submit_order(limit("AAPL", 1, "buy", 100, time_in_force="opg"))
    closing = broker.submit_order(limit("AAPL", 1, "buy", 100, time_in_force="cls"))
    at(exchange_process, MONDAY)
    ended(broker, opening)
    still = broker.get_order_by_id(closing.id).status
    at(exchange_process, MONDAY_EVENING)

    assert still == "accepted"
    ended(broker, closing)


def test_the_market_closes_early_on_a_half_day(broker: TradingClient, exchange_process: ExchangeProcess) -> None:
    at(exchange_process, HALF_DAY)

    assert not broker.get_clock().is_open


def test_an_order_placed_when_closed_fills_at_the_open_that_the_clock_passes(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, MONDAY_EVENING)
    waits = broker.submit_order(market("AAPL", 1, "buy"))
    at(exchange_process, "2026-11-24T21:00:00-05:00")

    assert waits.status == "accepted"
    assert broker.get_order_by_id(waits.id).status == "filled"


def test_a_day_order_ends_with_its_day_although_both_times_are_in_session(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, MONDAY)
    rests = broker.submit_order(limit("AAPL", 1, "buy", 90))
    at(exchange_process, "2026-11-24T10:00:00-05:00")

    assert broker.get_order_by_id(rests.id).status == "expired"
    assert broker.get_clock().is_open


def test_an_order_over_a_holiday_waits_for_the_half_day_and_ends_at_one(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, "2026-11-25T18:00:00-05:00")
    waits = broker.submit_order(limit("AAPL", 1, "buy", 90))
    at(exchange_process, "2026-11-26T12:00:00-05:00")
    holiday = broker.get_clock()
    on_holiday = broker.get_order_by_id(waits.id).status
    at(exchange_process, "2026-11-27T10:00:00-05:00")
    on_half_day = broker.get_order_by_id(waits.id).status
    half_day = broker.get_clock()
    at(exchange_process, HALF_DAY)

    assert (on_holiday, on_half_day) == ("accepted", "new")
    assert not holiday.is_open
    assert holiday.next_open.isoformat() == "2026-11-27T09:30:00-05:00"
    assert half_day.is_open
    assert half_day.next_close.isoformat() == "2026-11-27T13:00:00-05:00"
    assert broker.get_order_by_id(waits.id).status == "expired"


def test_an_order_over_a_daylight_saving_night_fills_at_the_new_hour(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, "2026-03-06T21:00:00-05:00")
    waits = broker.submit_order(limit("AAPL", 1, "buy", 100))
    at(exchange_process, "2026-03-09T13:29:50+00:00")
    before = broker.get_order_by_id(waits.id).status
    at(exchange_process, "2026-03-09T13:30:00+00:00")

    assert before == "accepted"
    ended(broker, waits)


def test_without_bars_the_equity_of_the_day_before_is_taken_when_a_day_begins(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    at(exchange_process, MONDAY)
    ended(broker, broker.submit_order(limit("AAPL", 100, "buy", 100)))
    exchange_process.admin("prices", {"AAPL": "90"})
    at(exchange_process, MONDAY_EVENING)
    same_day = broker.get_account()
    at(exchange_process, "2026-11-24T09:00:00-05:00")

    assert (same_day.equity, same_day.last_equity) == ("99000", "100000")
    assert broker.get_account().last_equity == "99000"
