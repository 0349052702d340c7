"""Watchlists, the portfolio history and the clocks of the paper exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.exchange_client import build_client, ended, limit
from tests.exchange_fixtures import ExchangeProcess

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
BY_NAME = "/v2/watchlists:by_name"


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=exchange_process.url, headers=KEYS, trust_env=False) as opened:
        yield opened


def symbols(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [asset["symbol"] for asset in answer.json()["assets"]]


def test_a_watchlist_keeps_its_symbols_in_order_and_once(
    client: httpx.Client, exchange_process: ExchangeProcess
) -> None:
    made = client.post("/v2/watchlists", json={"name": "mine", "symbols": ["MSFT", "BTCUSD", "MSFT"]})
    path = f"/v2/watchlists/{made.json()['id']}"

    assert symbols(made) == ["MSFT", "BTC/USD"]
    assert symbols(client.post(path, json={"symbol": "AAPL"})) == ["MSFT", "BTC/USD", "AAPL"]
    assert symbols(client.post(BY_NAME, params={"name": "mine"}, json={"symbol": "AAPL"})) == symbols(client.get(path))
    assert symbols(client.delete(f"{path}/BTC%2FUSD")) == ["MSFT", "AAPL"]
    assert symbols(client.put(path, json={"name": "ours"})) == ["MSFT", "AAPL"]
    assert symbols(client.put(BY_NAME, params={"name": "ours"}, json={"symbols": ["KO"]})) == ["KO"]
    exchange_process.restart()
    assert [each["name"] for each in client.get("/v2/watchlists").json()] == ["ours"]
    assert symbols(client.get(BY_NAME, params={"name": "ours"})) == ["KO"]
    assert client.delete(path).status_code == 204
    assert client.get(path).json() == {"code": 40410000, "message": "watchlist not found"}


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x" * 65}, {"name": "mine"}, {"name": "y", "symbols": ["no symbol"]}]
)
def test_a_watchlist_that_is_wrong_is_a_422_and_is_not_kept(client: httpx.Client, body: dict[str, Any]) -> None:
    client.post("/v2/watchlists", json={"name": "mine"})

    assert client.post("/v2/watchlists", json=body).status_code == 422
    assert [each["name"] for each in client.get("/v2/watchlists").json()] == ["mine"]


def test_another_account_does_not_see_a_watchlist(client: httpx.Client) -> None:
    made = client.post("/v2/watchlists", json={"name": "mine"}).json()
    other = KEYS | {"APCA-API-KEY-ID": "other"}

    assert client.get("/v2/watchlists", headers=other).json() == []
    assert client.get(f"/v2/watchlists/{made['id']}", headers=other).status_code == 404


def test_the_history_has_the_profit_of_a_position_and_survives_a_restart(
    start_exchange: Callable[..., ExchangeProcess],
) -> None:
    exchange = start_exchange()
    broker = build_client(exchange)
    exchange.admin("prices", {"TSLA": "100"})
    exchange.admin("accounts", {"key": "key", "deposit": "1000"})
    ended(broker, broker.submit_order(limit("TSLA", 10, "buy", 100)))
    exchange.admin("prices", {"TSLA": "107"})
    # A bar ends a day, and the end of a day records the equity.
    exchange.admin("bars", {"turn": 1, "playing": False})
    exchange.admin("prices", {"TSLA": "109"})

    def read() -> dict[str, Any]:
        found: Any = broker.get("/account/portfolio/history", {"period": "1W", "timeframe": "1D"})
        return found  # type: ignore[no-any-return]

    before = read()
    exchange.restart()

    assert (before["equity"][-1], before["profit_loss"][-1], before["base_value"]) == (101090.0, 90.0, 100000.0)
    assert read() == before
    exchange.close()


@pytest.mark.parametrize(
    ("now", "phase", "until", "is_day"),
    [
        ("2026-11-23T03:00:00-05:00", "closed", "2026-11-23T04:00:00-05:00", "market day"),
        ("2026-11-23T09:00:00-05:00", "pre", "2026-11-23T09:30:00-05:00", "market day"),
        ("2026-11-27T12:59:00-05:00", "core", "2026-11-27T13:00:00-05:00", "market day"),
        ("2026-11-27T13:00:00-05:00", "post", "2026-11-27T17:00:00-05:00", "market day"),
        ("2026-11-26T12:00:00-05:00", "closed", "2026-11-27T04:00:00-05:00", "holiday"),
    ],
)
def test_the_clock_of_the_markets_shows_the_phase_and_its_end(
    client: httpx.Client, exchange_process: ExchangeProcess, now: str, phase: str, until: str, is_day: str
) -> None:
    exchange_process.admin("clock", {"mode": "fixed", "now": now})
    [nasdaq] = client.get("/v3/clock", params={"markets": "XNAS", "time": now}).json()["clocks"]
    clocks = client.get("/v3/clock").json()["clocks"]

    assert (nasdaq["phase"], nasdaq["phase_until"], nasdaq["is_market_day"]) == (phase, until, is_day == "market day")
    assert (nasdaq["timestamp"], nasdaq["market"]["acronym"]) == (now, "NASDAQ")
    assert {(each["phase"], each["phase_until"]) for each in clocks} == {(phase, until)}


def test_the_calendar_of_a_market_has_a_week_from_today_or_the_days_asked_for(
    client: httpx.Client, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("clock", {"mode": "fixed", "now": "2026-11-23T12:00:00-05:00"})
    week = client.get("/v3/calendar/NYSE").json()["calendar"]
    [half] = client.get("/v3/calendar/XNYS?start=2026-11-27&end=2026-11-27&timezone=UTC").json()["calendar"]

    assert [day["date"][-2:] for day in week] == ["23", "24", "25", "27", "30"]
    assert (half["core_start"], half["core_end"]) == ("2026-11-27T14:30:00+00:00", "2026-11-27T18:00:00+00:00")
    assert (half["pre_start"], half["post_end"]) == ("2026-11-27T09:00:00+00:00", "2026-11-27T22:00:00+00:00")
    assert half["settlement_date"] == "2026-11-30"


@pytest.mark.parametrize(
    "path", ["/v3/clock?markets=XXXX", "/v3/clock?time=9999-12-31T00:00:00Z", "/v3/calendar/XXXX",
             "/v3/calendar/NYSE?start=x", "/v3/calendar/NYSE?timezone=Mars"],
)  # fmt: skip
def test_a_clock_or_a_calendar_that_does_not_exist_is_refused(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in {400, 422}
