"""Place orders and wait, for tests that use alpaca-py at the paper exchange."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

from tests.exchange_fixtures import ExchangeProcess
from tests.waiting import patience

Client = Callable[..., TradingClient]

#: The seconds after which a test stops waiting for the exchange.
WAIT_S = patience(10.0)


def build_client(exchange: ExchangeProcess, key: str = "key", *, raw: bool = False) -> TradingClient:
    """Return a client of alpaca-py for *exchange* that does not repeat requests."""
    client = TradingClient(key, "secret", raw_data=raw, url_override=exchange.url)
    client._retry = 0
    return client


def limit(symbol: str, qty: float, side: str, price: float, **more: Any) -> LimitOrderRequest:
    terms = {"time_in_force": TimeInForce.DAY, "client_order_id": str(uuid.uuid4())} | more
    return LimitOrderRequest(symbol=symbol, qty=qty, side=OrderSide(side), limit_price=price, **terms)


def market(symbol: str, qty: float, side: str, **more: Any) -> MarketOrderRequest:
    terms = {"time_in_force": TimeInForce.DAY} | more
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide(side), **terms)


def ended(broker: TradingClient, order: Any, status: str = "filled") -> Order:
    """Wait until *order* has *status*, and return it."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = broker.get_order_by_id(order.id)
        assert isinstance(found, Order)
        if found.status == OrderStatus(status):
            return found
        assert time.monotonic() < deadline, f"{found.status} is not {status}"
        time.sleep(0.002)


def refused(call: Callable[[], object]) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of the error that *call* raises."""
    with pytest.raises(APIError) as caught:
        call()
    body: dict[str, Any] = json.loads(caught.value._error)
    return caught.value.status_code or 0, body


def refused_order(broker: TradingClient, **changes: Any) -> tuple[int, dict[str, Any]]:
    """Send an order for one share at 100, with *changes* (None removes a field), that the exchange must refuse."""
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "100", "time_in_force": "day"}
    body = {name: value for name, value in (order | changes).items() if value is not None}
    return refused(lambda: broker.post("/orders", body))
