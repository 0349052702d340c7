"""The paper exchange counts requests, and limits them when a rate is set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.exchange_client import build_client, limit
from tests.exchange_fixtures import ExchangeProcess

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=exchange_process.url, headers=KEYS, trust_env=False) as opened:
        yield opened


def requests(exchange: ExchangeProcess, key: str = "key") -> dict[str, Any]:
    found: dict[str, Any] = exchange.admin(f"requests?key={key}")
    return found


def test_any_number_passes_until_a_rate_is_set(client: httpx.Client) -> None:
    answers = [client.get("/v2/clock") for _ in range(250)]

    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["x-ratelimit-limit"] == "200"


def test_every_answer_has_the_rate_headers_refusals_too(client: httpx.Client) -> None:
    answers = [
        client.get("/v2/account"), client.get("/v2/orders/none"), client.get("/v2/nowhere"), client.put("/v2/orders"),
        client.get("/v2/account", headers={"APCA-API-SECRET-KEY": "wrong"}), client.delete("/v2/orders"),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [200, 422, 404, 405, 401, 207]
    for answer in answers:
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)


def test_above_the_rate_an_order_is_refused_and_not_taken(
    client: httpx.Client, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("rate", {"per_minute": 2})
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "100", "time_in_force": "day"}
    first, second, third = (client.post("/v2/orders", json=order) for _ in range(3))

    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert third.json()["message"] == "too many requests."
    assert [first.headers["x-ratelimit-remaining"], second.headers["x-ratelimit-remaining"]] == ["1", "0"]
    assert 0 < int(third.headers["retry-after"]) <= 60
    assert 0 < int(third.headers["x-ratelimit-reset"]) - time.time() <= 61
    assert len(exchange_process.orders("key")) == 2


def test_retry_after_can_be_turned_off(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("rate", {"per_minute": 1, "retry_after": False})
    client.get("/v2/account")

    refused = client.get("/v2/account")

    assert refused.status_code == 429
    assert "retry-after" not in refused.headers
    assert refused.headers["x-ratelimit-limit"] == "1"


def test_the_rate_is_each_accounts_own_and_market_data_has_none(
    client: httpx.Client, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("prices", {"AAPL": "100"})
    exchange_process.admin("rate", {"per_minute": 1})
    client.get("/v2/account")

    assert client.get("/v2/account").status_code == 429
    assert client.get("/v2/account", headers=KEYS | {"APCA-API-KEY-ID": "other"}).status_code == 200
    assert client.get("/v2/stocks/AAPL/trades/latest").status_code == 200


def test_requests_are_counted_by_route(exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("rate", {"per_minute": None})
    broker = build_client(exchange_process)
    placed = broker.submit_order(limit("AAPL", 1, "buy", 100))
    broker.get_order_by_id(placed.id)
    broker.get_order_by_client_id(placed.client_order_id)
    for _ in range(3):
        broker.get_account()

    assert requests(exchange_process) == {
        "per_minute": None,
        "requests": 6,
        "refused": 0,
        "busiest_60s": 6,
        "routes": {
            "GET /v2/account": 3,
            "GET /v2/orders/{order_id}": 1,
            "GET /v2/orders:by_client_order_id": 1,
            "POST /v2/orders": 1,
        },
    }
    assert requests(exchange_process, "other")["requests"] == 0


def test_a_reset_takes_the_rate_away(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("rate", {"per_minute": 1})
    exchange_process.admin("reset", {})

    assert [client.get("/v2/clock").status_code for _ in range(3)] == [200] * 3
