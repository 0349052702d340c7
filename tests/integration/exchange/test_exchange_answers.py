"""The paper exchange adds headers to its answers and lists assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from alpaca.trading.client import TradingClient
from websockets.sync.client import connect

from tests.exchange_client import build_client, limit, refused, refused_order
from tests.exchange_fixtures import ExchangeProcess
from tests.waiting import patience

_KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}


def test_every_answer_has_a_request_id_of_its_own(exchange_process: ExchangeProcess) -> None:
    with httpx.Client(trust_env=False) as client:
        answers = [
            client.get(f"{exchange_process.url}{path}", headers=headers)
            for path, headers in (("/v2/account", _KEYS), ("/v2/account", {}), ("/v2/nowhere", _KEYS))
        ]

    assert [answer.status_code for answer in answers] == [200, 401, 404]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 3


def test_the_stream_is_also_served_under_the_address_of_the_old_sdk(exchange_process: ExchangeProcess) -> None:
    with connect(exchange_process.url.replace("http", "ws") + "/stream/") as stream:
        stream.send('{"action": "authenticate", "data": {"key_id": "key", "secret_key": "secret"}}')

        assert b'"authorized"' in bytes(stream.recv(timeout=patience(10)))  # type: ignore[arg-type]


def test_assets_can_be_listed_by_their_attributes(exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("assets", {"AAPL": {"fractional_eh": False}})
    raw: Any = build_client(exchange_process, raw=True)

    def found(**query: str) -> set[str]:
        return {each["symbol"] for each in raw.get("/assets", query)} & {"AAPL", "MSFT", "BTC/USD"}

    assert found(attributes="fractional_eh_enabled") == {"MSFT"}
    assert found(attributes="fractional_eh_enabled,has_options") == {"AAPL", "MSFT"}
    assert found(attributes="ipo") == set()


def test_assets_are_shares_where_no_class_is_asked_for(exchange_process: ExchangeProcess) -> None:
    raw: Any = build_client(exchange_process, raw=True)

    assert {each["class"] for each in raw.get("/assets", {})} == {"us_equity"}
    assert {each["class"] for each in raw.get("/assets", {"asset_class": "crypto"})} == {"crypto"}


def test_orders_can_be_listed_by_several_asset_classes(exchange_process: ExchangeProcess) -> None:
    raw: Any = build_client(exchange_process, raw=True)
    raw.submit_order(limit("AAPL", 1, "buy", 10))
    raw.submit_order(limit("BTC/USD", 1, "buy", 1000, time_in_force="gtc"))

    def found(classes: str) -> set[str]:
        return {each["symbol"] for each in raw.get("/orders", {"status": "all", "asset_class": classes})}

    assert found("us_equity") == {"AAPL"}
    assert found("us_option,crypto") == {"BTC/USD"}
    assert found("us_equity,crypto") == found("all") == {"AAPL", "BTC/USD"}


def test_only_listed_tickers_exist_where_that_is_asked_for(start_exchange: Callable[..., ExchangeProcess]) -> None:
    exchange = start_exchange("--no-bars", "--listed-only")
    broker = build_client(exchange)
    exchange.admin("reset", {})

    assert broker.get_asset("AAPL").symbol == "AAPL"
    assert broker.get_asset("BTC/USD").symbol == "BTC/USD"
    assert _missing(broker, "ZZZQ") == (404, "asset not found for ZZZQ")
    assert refused_order(broker, symbol="ZZZQ")[1]["message"] == 'asset "ZZZQ" not found'


def _missing(broker: TradingClient, symbol: str) -> tuple[int, str]:
    status, body = refused(lambda: broker.get_asset(symbol))
    return status, body["message"]
