"""alpaca-py at the paper exchange, over HTTP: the account, its positions, and every field of the schema."""

from __future__ import annotations

from decimal import Decimal

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import ClosePositionRequest, GetCalendarRequest, GetOrdersRequest

from tests.exchange_client import Client, build_client, ended, limit, market
from tests.exchange_fixtures import ExchangeProcess


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Client:
    def build(key: str = "key", *, raw: bool = False) -> TradingClient:
        return build_client(exchange_process, key, raw=raw)

    return build


def test_cash_position_and_buying_power_move_with_the_fill(client: Client) -> None:
    ended(client(), client().submit_order(limit("AAPL", 100, "buy", 50)))
    account, position = client().get_account(), client().get_open_position("AAPL")

    assert (account.cash, account.equity, account.buying_power) == ("95000", "100000", "395000")
    assert (position.qty, position.avg_entry_price, position.market_value) == ("100", "50", "5000")


def test_a_resting_order_holds_back_buying_power_until_it_ends(
    client: Client, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("prices", {"AAPL": "200"})
    rests = client().submit_order(limit("AAPL", 100, "buy", 100))
    held = client().get_account().buying_power
    client().cancel_order_by_id(rests.id)
    ended(client(), rests, "canceled")

    assert held == "390000"
    assert client().get_account().buying_power == "400000"


def test_a_short_sale_and_its_cover_leave_the_profit_in_cash(client: Client, exchange_process: ExchangeProcess) -> None:
    ended(client(), client().submit_order(limit("TSLA", 10, "sell", 100)))
    short = client().get_open_position("TSLA")
    exchange_process.admin("prices", {"TSLA": "90"})
    ended(client(), client().submit_order(market("TSLA", 10, "buy")))

    assert (short.qty, short.side, short.market_value) == ("-10", "short", "-1000")
    assert client().get_all_positions() == []
    assert client().get_account().cash == "100100"


def test_a_coin_costs_a_fee_and_is_found_by_each_form_of_its_symbol(client: Client) -> None:
    ended(client(), client().submit_order(limit("BTC/USD", 0.5, "buy", 20_000, time_in_force="gtc")))
    quantities = [client().get_open_position(name).qty for name in ("BTCUSD", "BTC%2FUSD", "BTC/USD")]

    assert quantities == ["0.49875"] * 3
    assert client().get_all_positions()[0].symbol == "BTCUSD"
    assert client().get_asset("BTC/USD") == client().get_asset("BTC%2FUSD")


def test_all_orders_are_canceled_and_all_positions_closed_at_once(
    client: Client, exchange_process: ExchangeProcess
) -> None:
    ended(client(), client().submit_order(limit("AAPL", 3, "buy", 100)))
    rests = client().submit_order(limit("AAPL", 1, "buy", 50))
    sells = client().submit_order(limit("AAPL", 2, "sell", 150))
    canceled = client().cancel_orders()
    for order in (rests, sells):
        ended(client(), order, "canceled")
    closed = client().close_all_positions(cancel_orders=True)

    assert {each.id: each.status for each in canceled} == {rests.id: 200, sells.id: 200}
    ended(client(), closed[0].body)
    assert client().get_all_positions() == []


def test_half_a_position_is_closed_by_percentage(client: Client) -> None:
    ended(client(), client().submit_order(limit("AAPL", 4, "buy", 100)))
    ended(client(), client().close_position("AAPL", ClosePositionRequest(percentage="50")))

    assert client().get_open_position("AAPL").qty == "2"


def test_the_fills_are_listed_as_activities_in_pages(client: Client) -> None:
    orders = [ended(client(), client().submit_order(limit("AAPL", 1, "buy", 100))) for _ in range(3)]
    first = client().get("/account/activities/FILL", {"page_size": 2, "direction": "asc"})
    token = {"page_token": first[-1]["id"], "direction": "asc"}
    rest = client().get("/account/activities", {"activity_types": "FILL", **token})

    assert [each["order_id"] for each in (*first, *rest)] == [str(order.id) for order in orders]


def test_the_calendar_has_holidays_and_half_days(client: Client) -> None:
    days = client().get_calendar(GetCalendarRequest(start="2026-11-25", end="2026-11-30"))

    assert [(day.date.isoformat(), day.close.hour) for day in days] == [
        ("2026-11-25", 16), ("2026-11-27", 13), ("2026-11-30", 16),
    ]  # fmt: skip


def test_each_key_has_an_account_of_its_own_and_one_secret(client: Client, exchange_process: ExchangeProcess) -> None:
    one, other = client("one").get_account(), client("other").get_account()

    assert one.account_number != other.account_number
    assert one.account_number == client("one").get_account().account_number
    assert one.account_number.startswith("PA")
    assert len(one.account_number) == 12
    assert Decimal(one.cash) == 100_000


def test_an_order_of_another_account_is_not_found(client: Client) -> None:
    placed = client("one").submit_order(limit("AAPL", 1, "buy", 100, client_order_id="shared"))
    other = client("other").submit_order(limit("AAPL", 1, "buy", 100, client_order_id="shared"))

    assert placed.id != other.id
    assert [order.id for order in client("other").get_orders(GetOrdersRequest(status="all"))] == [other.id]
