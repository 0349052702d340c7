"""The bars that the paper exchange plays: its prices, its cursor, its days."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from pipeline.intake.sources.bars import load_bars
from tests.exchange_client import build_client, ended, limit, market
from tests.exchange_fixtures import ExchangeProcess
from tests.waiting import patience


@pytest.fixture(scope="module")
def played(start_exchange: Callable[..., ExchangeProcess]) -> Iterator[ExchangeProcess]:
    exchange = start_exchange("--cadence", "3600")
    yield exchange
    exchange.close()


def get(exchange: ExchangeProcess, path: str, **params: float) -> Any:
    with httpx.Client(trust_env=False, timeout=patience(10)) as client:
        return client.get(f"{exchange.url}{path}", params=params).json()


def turn(exchange: ExchangeProcess, cycles: int = 1) -> int:
    cursor: int = exchange.admin("bars", {"turn": cycles})["cursor"]
    return cursor


def test_the_first_cycle_is_the_first_trading_day_of_2005(start_exchange: Callable[..., ExchangeProcess]) -> None:
    exchange = start_exchange("--cadence", "3600")
    first = get(exchange, "/bars")
    exchange.close()

    assert (first["cursor"], first["cadence_s"], len(first["cycles"])) == (1, 3600.0, 1)
    assert {name: first["cycles"][0][name] for name in ("cursor", "lap", "date")} == {
        "cursor": 1, "lap": 1, "date": "2005-01-03",
    }  # fmt: skip
    assert first["cycles"][0]["bars"][0] == {
        "symbol": "AAPL", "open": "32.39", "high": "32.56", "low": "31.30", "close": "31.64", "volume": "24714000",
    }  # fmt: skip


def test_a_symbol_trades_at_the_close_of_the_current_bar(played: ExchangeProcess) -> None:
    cursor = turn(played)
    closes = {bar["symbol"]: bar["close"] for bar in get(played, "/bars", after=cursor - 1)["cycles"][0]["bars"]}
    broker = build_client(played, "closes")
    filled = ended(broker, broker.submit_order(market("MSFT", 1, "buy")))

    assert Decimal(filled.filled_avg_price or 0) == Decimal(closes["MSFT"])


def test_history_reaches_back_into_the_warm_up(played: ExchangeProcess) -> None:
    days = get(played, "/bars/history", until=1, days=3)["cycles"]

    assert [day["date"] for day in days] == ["2004-12-30", "2004-12-31", "2005-01-03"]
    assert [day["cursor"] for day in days] == [0, 0, 1]


def test_waiting_for_the_next_cycle_ends_when_it_comes(start_exchange: Callable[..., ExchangeProcess]) -> None:
    exchange = start_exchange("--cadence", "0.3")
    seen = get(exchange, "/bars")["cursor"]
    answer = get(exchange, "/bars", after=seen, wait=10)
    exchange.close()

    assert answer["cursor"] == seen + 1
    assert [cycle["cursor"] for cycle in answer["cycles"]] == [seen + 1]


def test_waiting_returns_no_cycle_when_the_time_is_over(played: ExchangeProcess) -> None:
    cursor = get(played, "/bars")["cursor"]

    assert get(played, "/bars", after=cursor, wait=0.1)["cycles"] == []


def test_the_timer_can_be_stopped_and_started(start_exchange: Callable[..., ExchangeProcess]) -> None:
    exchange = start_exchange("--cadence", "0.05")
    exchange.admin("bars", {"playing": False})
    stopped = get(exchange, "/bars")["cursor"]
    time.sleep(0.3)
    still = get(exchange, "/bars")["cursor"]
    exchange.admin("bars", {"playing": True})
    goes_on = get(exchange, "/bars", after=still, wait=10)["cursor"]
    exchange.close()

    assert still == stopped
    assert goes_on > still


def test_the_cursor_goes_on_after_kill_9(played: ExchangeProcess) -> None:
    cursor = turn(played, 3)
    played.restart()

    assert get(played, "/bars")["cursor"] == cursor
    assert turn(played) == cursor + 1


def test_the_bars_begin_again_with_the_next_lap(start_exchange: Callable[..., ExchangeProcess]) -> None:
    exchange = start_exchange("--cadence", "3600")
    lap = load_bars().played
    turn(exchange, lap)
    answer = get(exchange, "/bars", after=0)
    exchange.close()

    assert answer["cursor"] == lap + 1
    assert len(answer["cycles"]) == 100
    last = answer["cycles"][-1]
    assert (last["lap"], last["date"], last["cursor"]) == (2, "2005-01-03", lap + 1)
    assert answer["cycles"][-2]["lap"] == 1


def test_the_day_rolls_over_with_the_bar(played: ExchangeProcess) -> None:
    broker = build_client(played, "rolls")
    ended(broker, broker.submit_order(market("GOOG", 100, "buy")))
    before = broker.get_account()
    turn(played)
    after, position = broker.get_account(), broker.get_open_position("GOOG")

    assert after.last_equity == before.equity
    assert after.equity != before.equity
    assert Decimal(after.equity or 0) - Decimal(after.last_equity or 0) == Decimal(position.unrealized_intraday_pl or 0)


def test_a_pinned_price_beats_the_bar_until_it_is_taken_back(played: ExchangeProcess) -> None:
    broker = build_client(played, "pins")
    played.admin("prices", {"IBM": "55.50"})
    turn(played)
    pinned = ended(broker, broker.submit_order(market("IBM", 1, "buy")))
    played.admin("prices", {"IBM": None})
    free = ended(broker, broker.submit_order(limit("IBM", 1, "buy", 500)))

    assert pinned.filled_avg_price == "55.5"
    assert free.filled_avg_price != "55.5"


def test_without_bars_there_is_no_cursor(exchange_process: ExchangeProcess) -> None:
    assert get(exchange_process, "/bars", wait=5) == {"cursor": None, "cadence_s": 5.0, "cycles": []}
    assert get(exchange_process, "/bars/history", until=1, days=5) == {"cycles": []}
