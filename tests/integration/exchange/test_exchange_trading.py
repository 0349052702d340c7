"""alpaca-py at the paper exchange, over HTTP: orders of every kind, from the request to the fill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, QueryOrderStatus
from alpaca.trading.requests import (
    GetOrdersRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from tests.exchange_client import Client, build_client, ended, limit
from tests.exchange_fixtures import ExchangeProcess


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Client:
    def build(key: str = "key", *, raw: bool = False) -> TradingClient:
        return build_client(exchange_process, key, raw=raw)

    return build


def test_an_order_is_pending_at_first_and_fills_a_moment_later(client: Client) -> None:
    placed = client().submit_order(limit("AAPL", 10, "buy", 190, client_order_id="first"))
    filled = ended(client(), placed)

    assert placed.status is OrderStatus.PENDING_NEW
    assert (placed.filled_qty, placed.filled_avg_price) == ("0", None)
    assert (filled.filled_qty, filled.filled_avg_price) == ("10", "190")
    assert client().get_order_by_client_id("first").id == placed.id


def test_a_marketable_limit_fills_at_the_better_price(client: Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("prices", {"AAPL": "180.00"})

    assert ended(client(), client().submit_order(limit("AAPL", 1, "buy", 190))).filled_avg_price == "180"


def test_a_resting_limit_fills_at_its_limit_when_the_price_comes_to_it(
    client: Client, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("prices", {"AAPL": "200"})
    rests = ended(client(), client().submit_order(limit("AAPL", 1, "buy", 190)), "new")
    exchange_process.admin("prices", {"AAPL": "189"})

    assert ended(client(), rests).filled_avg_price == "190"


def test_a_stop_becomes_a_market_order_when_it_is_touched(client: Client, exchange_process: ExchangeProcess) -> None:
    ended(client(), client().submit_order(limit("AAPL", 1, "buy", 100)))
    stop = StopOrderRequest(symbol="AAPL", qty=1, side="sell", time_in_force="gtc", stop_price=95)
    rests = ended(client(), client().submit_order(stop), "new")
    exchange_process.admin("prices", {"AAPL": "94"})

    assert ended(client(), rests).filled_avg_price == "94"


def test_a_trailing_stop_follows_the_price_up_and_sells_on_the_way_down(
    client: Client, exchange_process: ExchangeProcess
) -> None:
    ended(client(), client().submit_order(limit("AAPL", 1, "buy", 100)))
    trail = TrailingStopOrderRequest(symbol="AAPL", qty=1, side="sell", time_in_force="gtc", trail_percent=10)
    rests = ended(client(), client().submit_order(trail), "new")
    exchange_process.admin("prices", {"AAPL": "200"})
    exchange_process.admin("prices", {"AAPL": "181"})
    followed = client().get_order_by_id(rests.id)
    exchange_process.admin("prices", {"AAPL": "180"})

    assert (followed.hwm, followed.stop_price) == ("200", "180")
    assert ended(client(), rests).filled_avg_price == "180"


def test_an_order_by_notional_fills_to_nine_decimals(client: Client) -> None:
    ended(client(), client().submit_order(limit("KO", 1, "buy", 30)))
    request = MarketOrderRequest(symbol="KO", notional=100, side="buy", time_in_force="day")

    assert ended(client(), client().submit_order(request)).filled_qty == "3.333333333"


def test_the_order_list_filters_and_pages(client: Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("prices", {"AAPL": "200", "MSFT": "200"})
    broker = client()
    filled = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 200)))
    first, second = (broker.submit_order(limit(symbol, 1, "buy", 100)) for symbol in ("AAPL", "MSFT"))

    def listed(**filters: Any) -> list[Any]:
        return [order.id for order in broker.get_orders(GetOrdersRequest(**filters))]

    assert listed() == [second.id, first.id]
    assert listed(status=QueryOrderStatus.CLOSED) == [filled.id]
    assert listed(status=QueryOrderStatus.ALL, direction="asc") == [filled.id, first.id, second.id]
    assert listed(status=QueryOrderStatus.ALL, limit=1) == [second.id]
    assert listed(symbols=["AAPL"]) == [first.id]
    assert listed(side=OrderSide.SELL) == []
    assert listed(after=datetime.now(UTC) + timedelta(minutes=1)) == []
    assert listed(until=datetime.now(UTC) - timedelta(minutes=1)) == []


def test_more_than_five_hundred_orders_are_read_in_pages(client: Client) -> None:
    broker = client(raw=True)
    placed = [broker.submit_order(limit("AAPL", 1, "buy", 10))["id"] for _ in range(510)]
    newest = broker.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, limit=500))
    params = {"status": "all", "limit": 500, "until": newest[-1]["submitted_at"]}
    rest = broker.get("/orders", params)

    assert [order["id"] for order in (*newest, *rest)] == placed[::-1]


def test_a_page_begins_exactly_after_the_last_order_of_the_one_before(client: Client) -> None:
    broker = client(raw=True)
    placed = [broker.submit_order(limit("AAPL", 1, "buy", 10)) for _ in range(5)]
    params = {"status": "all", "direction": "asc", "limit": 2}
    second = broker.get("/orders", params | {"after": placed[1]["submitted_at"]})
    zoned = broker.get("/orders", params | {"after": placed[1]["submitted_at"].replace("Z", "+00:00")})

    assert [order["id"] for order in second] == [placed[2]["id"], placed[3]["id"]]
    assert [order["id"] for order in zoned] == [order["id"] for order in second]


def test_a_replaced_order_gets_a_new_id_and_both_know_of_it(client: Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("prices", {"AAPL": "200"})
    old = ended(client(), client().submit_order(limit("AAPL", 1, "buy", 100)), "new")
    new = client().replace_order_by_id(old.id, ReplaceOrderRequest(qty=2, limit_price=110))
    after = client().get_order_by_id(old.id)

    assert (new.replaces, after.replaced_by, after.status) == (old.id, new.id, OrderStatus.REPLACED)
    assert (new.qty, new.limit_price) == ("2", "110")
    assert client().get_account().buying_power == "399780"


def test_a_bracket_exits_at_its_profit_and_drops_its_stop(client: Client, exchange_process: ExchangeProcess) -> None:
    bracket = limit(
        "AAPL", 1, "buy", 100, order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=110), stop_loss=StopLossRequest(stop_price=95),
    )  # fmt: skip
    placed = client().submit_order(bracket)
    entered = ended(client(), placed)
    held = [leg.status for leg in placed.legs]
    working = {leg.type: leg.status for leg in entered.legs}
    exchange_process.admin("prices", {"AAPL": "111"})
    exits = {leg.type: leg.status for leg in client().get_order_by_id(placed.id).legs}

    assert held == [OrderStatus.HELD] * 2
    assert working == {"limit": OrderStatus.NEW, "stop": OrderStatus.HELD}
    assert exits == {"limit": OrderStatus.FILLED, "stop": OrderStatus.CANCELED}
    assert client().get_all_positions() == []
