"""Every answer of every route of the paper exchange is valid according to the broker's OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.exchange_client import build_client, ended, limit
from tests.exchange_fixtures import ExchangeProcess
from workers.exchange.fault_effects import is_market_data
from workers.exchange.server import ROUTES

_OPENAPI = json.loads((Path(__file__).parents[2] / "payloads" / "alpaca-openapi.json").read_text())
_KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
_WITH_EVERY_FIELD = ("Account", "Order", "Position", "Assets", "TradingActivities", "PortfolioHistory", "calendar_day")
#: Fields that only markets with a lunch break have.
_NOT_OURS = {"lunch_start", "lunch_end"}


class Caller:
    """Call routes, check that each answer is valid, and store which routes were called."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.called: set[str] = set()

    def __call__(self, route: str, body: Any = None, query: dict[str, str] | None = None, **path: str) -> Any:
        method, template = route.split(" ")
        answer = self._client.request(method, template.format(**path), json=body, params=query)
        assert answer.is_success, answer.text
        self.called.add(route)
        if answer.status_code == 204:
            return None
        schema = _OPENAPI["answers"].get(route) or _OPENAPI["answers"][route.format(kind=path.get("kind", ""))]
        errors = Draft202012Validator(schema | {"$defs": _OPENAPI["$defs"]}, validate_formats=True).iter_errors(
            answer.json()
        )
        assert [f"{route} {list(error.instance_path)}: {error.message}" for error in errors] == []
        return answer.json()


@pytest.fixture
def call(exchange_process: ExchangeProcess) -> Iterator[Caller]:
    exchange_process.admin("prices", {"AAPL": "100", "MSFT": "200", "BTC/USD": "60000"})
    with httpx.Client(base_url=exchange_process.url, headers=_KEYS, trust_env=False) as client:
        yield Caller(client)


def test_every_answer_of_every_route_is_valid(call: Caller, exchange_process: ExchangeProcess) -> None:
    _trade(call, exchange_process)
    _read_the_account(call, exchange_process)
    _read_the_market(call)
    _keep_watchlists(call)
    for route in ("DELETE /v2/orders/{order_id}", "DELETE /v2/positions/{symbol}"):
        placed = call("GET /v2/orders")
        call(route, symbol="MSFT", order_id=placed[0]["id"])
    call("DELETE /v2/orders")
    call("DELETE /v2/positions", query={"cancel_orders": "true"})

    routes = {
        f"{method} {re.sub(r':path}', '}', route.path)}"
        for route in ROUTES
        for method in route.methods or ()
        if method != "HEAD" and not is_market_data(route.path)
    }
    assert routes - {"GET /v2/account/activities"} == {
        re.sub(r"{kind}", "{activity_type}", route) for route in call.called
    }


def _trade(call: Caller, exchange: ExchangeProcess) -> None:
    typed = build_client(exchange)
    for symbol, price, qty in (("AAPL", 100, 4), ("MSFT", 200, 1), ("BTC/USD", 60000, 0.01)):
        terms = {"time_in_force": "gtc"} if "/" in symbol else {}
        ended(typed, typed.submit_order(limit(symbol, qty, "buy", price, **terms)))
    order = {"symbol": "AAPL", "qty": "2", "side": "buy", "type": "limit", "limit_price": "90", "time_in_force": "gtc"}
    legs = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
    bracket = call("POST /v2/orders", order | legs | {"order_class": "bracket"})
    ended(typed, typed.get_order_by_id(bracket["id"]), "new")
    call("POST /v2/orders", order | {"qty": None, "notional": "50", "time_in_force": "day", "limit_price": "10"})
    call("GET /v2/orders", query={"status": "all", "nested": "true"})
    call("GET /v2/orders/{order_id}", order_id=bracket["id"])
    call("GET /v2/orders:by_client_order_id", query={"client_order_id": bracket["client_order_id"]})
    call("PATCH /v2/orders/{order_id}", {"limit_price": "91"}, order_id=bracket["id"])


def _read_the_account(call: Caller, exchange: ExchangeProcess) -> None:
    exchange.admin("accounts", {"key": "key", "deposit": "5"})
    exchange.admin("accounts", {"key": "key", "deposit": "7", "deposit_day_only": True})
    call("GET /v2/account")
    for kind in ("FILL", "CSD"):
        assert call("GET /v2/account/activities/{kind}", kind=kind)
    call("PATCH /v2/account/configurations", call("GET /v2/account/configurations"))
    for frame in ("1Min", "1D"):
        call("GET /v2/account/portfolio/history", query={"period": "1D", "timeframe": frame, "cashflow_types": "ALL"})
    assert len(call("GET /v2/positions")) == 3
    for symbol in ("AAPL", "BTCUSD"):
        call("GET /v2/positions/{symbol}", symbol=symbol)


def _read_the_market(call: Caller) -> None:
    for asset_class in ("us_equity", "crypto"):
        assert call("GET /v2/assets", query={"asset_class": asset_class})
    for symbol in ("AAPL", "BTC/USD"):
        call("GET /v2/assets/{symbol}", symbol=symbol)
    call("GET /v2/calendar", query={"start": "2026-11-23", "end": "2026-11-28"})
    call("GET /v2/clock")
    call("GET /v3/clock")
    call("GET /v3/calendar/{market}", market="NYSE")


def _keep_watchlists(call: Caller) -> None:
    call("POST /v2/watchlists", {"name": "a", "symbols": ["AAPL"]})
    made = call("POST /v2/watchlists", {"name": "b", "symbols": ["AAPL", "BTC/USD"]})
    call("GET /v2/watchlists")
    for path, query in (("/v2/watchlists/{watchlist_id}", {}), ("/v2/watchlists:by_name", {"name": "b"})):
        call(f"GET {path}", query=query, watchlist_id=made["id"])
        call(f"PUT {path}", {"symbols": ["MSFT"]}, query, watchlist_id=made["id"])
        call(f"POST {path}", {"symbol": "TSLA"}, query, watchlist_id=made["id"])
    call("DELETE /v2/watchlists/{watchlist_id}/{symbol}", watchlist_id=made["id"], symbol="TSLA")
    call("DELETE /v2/watchlists/{watchlist_id}", watchlist_id=made["id"])
    call("DELETE /v2/watchlists:by_name", query={"name": "a"})


@pytest.mark.parametrize("name", _WITH_EVERY_FIELD)
def test_an_answer_has_every_field_of_its_schema(call: Caller, exchange_process: ExchangeProcess, name: str) -> None:
    typed = build_client(exchange_process)
    ended(typed, typed.submit_order(limit("AAPL", 4, "buy", 100)))
    crypto = call("GET /v2/assets/{symbol}", symbol="BTC/USD")
    found: dict[str, dict[str, Any]] = {
        "Account": call("GET /v2/account"),
        "Order": call("GET /v2/orders", query={"status": "all"})[0],
        "Position": call("GET /v2/positions")[0],
        "Assets": call("GET /v2/assets/{symbol}", symbol="AAPL") | crypto,
        "TradingActivities": call("GET /v2/account/activities/{kind}", kind="FILL")[0],
        "PortfolioHistory": call("GET /v2/account/portfolio/history", query={"cashflow_types": "CSD"}),
        "calendar_day": call(
            "GET /v3/calendar/{market}", market="XNYS", query={"start": "2026-11-23", "end": "2026-11-23"}
        )["calendar"][0],
    }

    assert set(_OPENAPI["$defs"][name]["properties"]) - _NOT_OURS - set(found[name]) == set()


def test_the_configurations_can_be_read_and_changed(exchange_process: ExchangeProcess) -> None:
    broker = build_client(exchange_process)
    changed = broker.get_account_configurations().model_copy(update={"no_shorting": True})

    assert broker.set_account_configurations(changed).no_shorting is True
    assert broker.get_account().shorting_enabled is False
