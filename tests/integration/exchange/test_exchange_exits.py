"""alpaca-py at the paper exchange, over HTTP: answers to orders that close a position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from tests.exchange_client import build_client, ended, limit, market, refused_order
from tests.exchange_fixtures import ExchangeProcess

_MONDAY_EVENING = "2026-11-23T17:00:00-05:00"
_RECORDED = Path(__file__).parents[2] / "payloads" / "alpaca"
_SHAPES = json.loads((_RECORDED / "multi-207-close-with-403-shapes.json").read_text())


@pytest.fixture
def broker(exchange_process: ExchangeProcess) -> TradingClient:
    return build_client(exchange_process)


def _held(broker: TradingClient, qty: float, symbol: str = "AAPL", price: float = 100) -> None:
    ended(broker, broker.submit_order(limit(symbol, qty, "buy", price)))


def _sale(broker: TradingClient, **changes: Any) -> tuple[int, str]:
    """Send a sale that must be refused, and return the status and the message."""
    status, body = refused_order(broker, **({"side": "sell"} | changes))
    return status, body["message"]


@pytest.mark.parametrize("kind", ["stop", "oco"])
def test_a_protective_order_holds_the_position_and_is_named_in_the_refusal(broker: TradingClient, kind: str) -> None:
    _held(broker, 5)
    terms = {"type": "stop", "stop_price": "80"}
    if kind == "oco":
        legs = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
        terms = {"type": "limit", "limit_price": "120", "order_class": "oco", **legs}  # type: ignore[dict-item]
    holder: Any = broker.post("/orders", {"symbol": "AAPL", "qty": "5", "side": "sell", "time_in_force": "gtc"} | terms)
    status, body = refused_order(
        broker, side="sell", qty="5", type="market", limit_price=None, position_intent="sell_to_close"
    )

    assert status == 403
    assert body["related_orders"] == [holder["id"]]
    assert broker.get_open_position("AAPL").qty_available == "0"
    assert (body["available"], body["existing_qty"], body["held_for_orders"]) == ("0", "5", "5")


def test_the_refusal_of_a_held_position_has_the_fields_of_the_recorded_one(broker: TradingClient) -> None:
    [recorded] = [each["body"] for each in _SHAPES if each["symbol"] == "SQQQ"]
    _held(broker, 1000, "SQQQ", 10)
    broker.submit_order(limit("SQQQ", 1000, "sell", 20))
    _, body = refused_order(broker, symbol="SQQQ", side="sell", qty="1000", limit_price="15")
    body.pop("related_orders")

    assert body == recorded


def test_a_coin_that_is_held_back_is_refused_with_its_balance(broker: TradingClient) -> None:
    ended(broker, broker.submit_order(limit("ETH/USD", 1, "buy", 2000, time_in_force="gtc")))
    broker.submit_order(limit("ETH/USD", 0.5, "sell", 3000, time_in_force="gtc"))
    status, body = refused_order(
        broker, symbol="ETH/USD", side="sell", qty="0.9975", limit_price="2500", time_in_force="gtc"
    )

    assert (status, body) == (
        403,
        {
            "code": 40310000,
            "message": "insufficient balance for ETH (requested: 0.9975, available: 0.4975)",
            "available": "0.4975",
            "balance": "0.9975",
            "symbol": "ETH",
        },
    )


def test_an_account_in_liquidation_may_only_close(broker: TradingClient, exchange_process: ExchangeProcess) -> None:
    _held(broker, 5)
    exchange_process.admin("accounts", {"key": "key", "liquidation_only": True})

    assert refused_order(broker)[1]["message"] == "account is restricted to liquidation only"
    ended(broker, broker.submit_order(market("AAPL", 5, "sell")))
    assert _sale(broker) == (403, "account is restricted to liquidation only")
    exchange_process.restart()
    assert refused_order(broker)[1]["message"] == "account is restricted to liquidation only"


def test_a_fraction_cannot_be_sold_where_the_asset_or_the_account_has_none(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    _held(broker, 1.65)
    exchange_process.admin("assets", {"AAPL": {"fractionable": False}})

    assert _sale(broker, qty="1.65") == (403, 'asset "AAPL" is not fractionable')
    ended(broker, broker.submit_order(market("AAPL", 1, "sell")))
    exchange_process.admin("assets", {"AAPL": None})
    broker.patch("/account/configurations", {"fractional_trading": False})
    assert _sale(broker, qty="0.65") == (403, "fractional trading is disabled for this account")


def test_a_fraction_trades_outside_regular_hours_only_where_the_asset_allows_it(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    _held(broker, 2.5)
    exchange_process.admin("clock", {"mode": "fixed", "now": _MONDAY_EVENING})
    exchange_process.admin("assets", {"AAPL": {"fractional_eh": False}})
    late = {"extended_hours": True, "limit_price": "90"}

    assert "fractional_eh_enabled" not in broker.get_asset("AAPL").attributes
    assert _sale(broker, qty="2.5", **late) == (
        422,
        "fractional orders are not eligible for extended hours trading",
    )
    ended(broker, broker.submit_order(limit("AAPL", 2, "sell", 90, extended_hours=True)))
    exchange_process.admin("assets", {"AAPL": None})
    ended(broker, broker.submit_order(limit("AAPL", 0.5, "sell", 90, extended_hours=True)))


def test_a_fraction_worth_less_than_a_dollar_cannot_be_sold(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    _held(broker, 1.005)
    ended(broker, broker.submit_order(market("AAPL", 1, "sell")))

    assert _sale(broker, qty="0.005") == (403, "cost basis must be >= minimal amount of order 1")


def test_prices_and_quantities_keep_the_steps_of_their_asset(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    _held(broker, 5)
    coin = {"symbol": "BTC/USD", "time_in_force": "gtc", "limit_price": "60000"}
    detail = "sub-penny increment does not fulfill minimum pricing criteria"

    assert _sale(broker, limit_price="290.123") == (422, f"invalid limit_price 290.123. {detail}")
    assert _sale(broker, limit_price="0.12345") == (422, f"invalid limit_price 0.12345. {detail}")
    assert _sale(broker, type="stop", limit_price=None, stop_price="290.123") == (
        422,
        f"invalid stop_price 290.123. {detail}",
    )
    assert refused_order(broker, **coin | {"limit_price": "60000.5"})[0] == 422
    assert refused_order(broker, **coin | {"qty": "0.000010953"})[1]["message"] == "minimal qty of order 0.000010954"
    exchange_process.admin("assets", {"BTC/USD": {"min_trade_increment": "0.001", "price_increment": "0.5"}})
    assert refused_order(broker, **coin | {"qty": "0.0015"})[0] == 422
    ended(broker, broker.submit_order(limit("BTC/USD", 0.001, "buy", 60000.5, time_in_force="gtc")))
    assert (
        broker.get_asset("BTC/USD").min_order_size,
        broker.get_asset("BTC/USD").min_trade_increment,
        broker.get_asset("BTC/USD").price_increment,
    ) == (0.000010954, 0.001, 0.5)


@pytest.mark.parametrize(
    ("symbol", "file"),
    [("SHIB/USDC", "asset-crypto-shib-usdc-2026.json"), ("USDC/USD", "asset-crypto-usdc-usd-2026.json")],
)
def test_a_pair_has_the_steps_that_the_broker_listed(exchange_process: ExchangeProcess, symbol: str, file: str) -> None:
    recorded = json.loads((_RECORDED / file).read_text())
    listed: Any = build_client(exchange_process, raw=True).get_asset(symbol.replace("/", ""))
    names = ("symbol", "class", "exchange", "min_order_size", "min_trade_increment", "price_increment", "attributes")

    assert {name: listed[name] for name in names} == {name: recorded[name] for name in names}


def test_an_intent_that_does_not_fit_the_position_is_a_mismatch(broker: TradingClient) -> None:
    _held(broker, 5)

    assert _sale(broker, position_intent="sell_to_open") == (
        422,
        "position intent mismatch, inferred: sell_to_close, specified: sell_to_open",
    )
    assert _sale(broker, symbol="TSLA", position_intent="sell_to_close") == (
        422,
        "position intent mismatch, inferred: sell_to_open, specified: sell_to_close",
    )
    assert _sale(broker, position_intent="sell") == (422, "invalid position_intent")
