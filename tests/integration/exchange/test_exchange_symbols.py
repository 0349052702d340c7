"""The paper exchange's admin routes read symbols as tradewire does; its trading API reads them as Alpaca does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchange_client import build_client, limit, refused, refused_order
from tests.exchange_fixtures import ExchangeProcess


@pytest.mark.parametrize(
    ("written", "symbol"),
    [("btc-usd", "BTC/USD"), ("BTCUSD", "BTC/USD"), ("BRK-B", "BRK.B"), ("BRK/B", "BRK.B"), (" aapl", "AAPL")],
)
def test_an_admin_may_write_a_symbol_in_every_way_that_tradewire_reads(
    exchange_process: ExchangeProcess, written: str, symbol: str
) -> None:
    assert exchange_process.admin("prices", {written: "123"}) == {symbol: "123"}
    exchange_process.admin("assets", {written: {"tradable": False}})

    assert build_client(exchange_process).get_asset(symbol).tradable is False
    exchange_process.admin("assets", {written: None})


@pytest.mark.parametrize("path", ["prices", "assets"])
@pytest.mark.parametrize("symbol", ["TOOLONG", "A1", "", "XYZ/USD"])
def test_an_admin_cannot_name_what_is_no_asset(exchange_process: ExchangeProcess, path: str, symbol: str) -> None:
    answer = exchange_process.post(path, {symbol: None})

    assert (answer.status_code, answer.json()["message"]) == (422, f"no such asset: {symbol}")


@pytest.mark.parametrize("symbol", ["btc-usd", "BTC-USD", "BRK-B", "BRK/B", "aapl"])
def test_the_trading_api_takes_the_brokers_spellings_only(exchange_process: ExchangeProcess, symbol: str) -> None:
    broker = build_client(exchange_process)

    assert refused_order(broker, symbol=symbol, time_in_force="gtc")[1]["message"] == f'asset "{symbol}" not found'


def test_a_fault_of_a_symbol_meets_every_spelling_of_it(exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("faults", {"faults": [{"on": "submit", "kind": "reject", "symbol": "btc-usd"}]})
    broker: Any = build_client(exchange_process)

    for symbol in ("BTC/USD", "BTCUSD"):
        order = limit(symbol, 1, "buy", 1000, time_in_force="gtc")
        assert refused(lambda order=order: broker.submit_order(order))[1]["message"] == "order rejected"
    assert broker.submit_order(limit("ETH/USD", 1, "buy", 1000, time_in_force="gtc")).symbol == "ETH/USD"
