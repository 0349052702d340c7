"""The paper exchange refuses orders with wrong parameters."""

from __future__ import annotations

from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from tests.exchange_client import build_client, refused_order
from tests.exchange_fixtures import ExchangeProcess


@pytest.fixture
def broker(exchange_process: ExchangeProcess) -> TradingClient:
    return build_client(exchange_process)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"qty": "0"}, 40010001, "qty must be > 0"),
        ({"qty": None}, 40010001, "qty or notional is required"),
        ({"notional": "5"}, 40010001, "only one of qty or notional is accepted"),
        ({"qty": "x"}, 40010001, "invalid qty"),
        ({"qty": "1_0"}, 40010001, "invalid qty"),
        ({"qty": "\uff11"}, 40010001, "invalid qty"),
        ({"limit_price": "1_0"}, 40010001, "invalid limit_price"),
        ({"side": "hold"}, 40010001, "invalid side"),
        ({"type": "iceberg"}, 40010001, "invalid order type"),
        ({"time_in_force": "week"}, 40010001, "invalid time_in_force"),
        ({"limit_price": None}, 40010001, "limit orders require only limit price"),
        ({"stop_price": "90"}, 40010001, "limit orders require only limit price"),
        ({"limit_price": "-1"}, 40010001, "limit price must be > 0"),
        ({"type": "market"}, 40010001, "market orders require no stop or limit price"),
        ({"type": "stop", "limit_price": None}, 40010001, "stop orders require a stop price"),
        ({"type": "stop_limit"}, 40010001, "stop limit orders require both stop and limit price"),
        (
            {"type": "trailing_stop", "limit_price": None},
            40010001,
            "trailing stop orders must specify one of trail_price or trail_percent",
        ),
        ({"client_order_id": "x" * 129}, 40010001, "client_order_id must be no more than 128 characters"),
        (
            {"limit_price": "290.123"},
            42210000,
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
        ),
        ({"symbol": "not a symbol"}, 42210000, 'asset "not a symbol" not found'),
        ({"symbol": "MKR/USD", "time_in_force": "gtc"}, 40010001, "asset MKR/USD is not active"),
        ({"symbol": "BTC/USD"}, 42210000, "invalid crypto time_in_force"),
        (
            {"symbol": "BTC/USD", "type": "stop", "limit_price": None, "stop_price": "9"},
            42210000,
            "invalid order type for crypto order",
        ),
        ({"qty": "0.5", "time_in_force": "gtc"}, 42210000, "fractional orders must be DAY orders"),
        ({"qty": "0.5", "side": "sell"}, 42210000, "fractional orders cannot be sold short"),
        (
            {"extended_hours": True, "time_in_force": "ioc"},
            42210000,
            "extended hours order must be DAY or GTC limit orders",
        ),
        (
            {"qty": None, "notional": "5.123", "type": "market", "limit_price": None},
            42210000,
            "notional value must be limited to 2 decimal places",
        ),
        (
            {"position_intent": "sell_to_close"},
            42210000,
            "position intent mismatch, inferred: buy_to_open, specified: sell_to_close",
        ),
    ],
)
def test_an_order_with_wrong_parameters_is_a_422(
    broker: TradingClient, changes: dict[str, Any], code: int, message: str
) -> None:
    assert refused_order(broker, **changes) == (422, {"code": code, "message": message})
