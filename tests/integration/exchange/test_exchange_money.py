"""Deposits, withdrawals, falling prices and latest trades at the paper exchange."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import CryptoLatestTradeRequest, StockLatestTradeRequest
from alpaca.trading.client import TradingClient

from tests.exchange_client import build_client, ended, limit, refused
from tests.exchange_fixtures import ExchangeProcess


@pytest.fixture
def broker(exchange_process: ExchangeProcess) -> TradingClient:
    return build_client(exchange_process)


def activities(broker: TradingClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = broker.get("/account/activities", query)
    return found


def test_a_deposit_moves_cash_and_equity_and_leaves_the_day_before(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("accounts", {"key": "key", "cash": "50000"})
    told = exchange_process.admin("accounts", {"key": "key", "deposit": "1000"})
    exchange_process.admin("accounts", {"key": "key", "deposit": "-500"})
    account = broker.get_account()

    assert (told["cash"], told["last_equity"]) == ("51000", "50000")
    assert (account.cash, account.equity, account.last_equity) == ("50500", "50500", "50000")


def test_deposits_and_withdrawals_are_activities_of_their_kinds(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100)))
    for amount in ("1000", "-500"):
        exchange_process.admin("accounts", {"key": "key", "deposit": amount})
    moved = activities(broker, activity_types="TRANS", direction="asc")

    assert [(each["activity_type"], each["net_amount"], each["status"]) for each in moved] == [
        ("CSD", "1000", "executed"),
        ("CSW", "-500", "executed"),
    ]
    assert [each["net_amount"] for each in activities(broker, activity_types="CSW,DIV")] == ["-500"]
    assert [each["activity_type"] for each in activities(broker, direction="asc")] == ["FILL", "CSD", "CSW"]
    assert [each["activity_type"] for each in activities(broker, category="trade_activity")] == ["FILL"]
    assert broker.get("/account/activities/CSD")[0]["net_amount"] == "1000"
    assert activities(broker, activity_types="DIV") == []
    assert refused(lambda: activities(broker, activity_types="CSD", category="trade_activity"))[0] == 422


def test_a_transfer_can_have_a_date_and_be_listed_with_its_day_only(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    dated = {"key": "key", "deposit": "7", "deposited_at": "2026-03-10T02:00:00Z"}
    exchange_process.admin("accounts", dated)
    exchange_process.admin("accounts", dated | {"deposit_day_only": True})
    by_moment, by_day = activities(broker, direction="asc")

    assert by_moment["created_at"] == "2026-03-10T02:00:00Z"
    assert by_moment["date"] == by_day["date"] == "2026-03-09"
    assert "created_at" not in by_day
    assert activities(broker, after="2026-03-10T02:00:00Z") == []


def test_a_deposit_survives_kill_9(start_exchange: Callable[..., ExchangeProcess]) -> None:
    exchange = start_exchange("--no-bars")
    exchange.admin("accounts", {"key": "key", "deposit": "1000.25"})
    before = activities(build_client(exchange))
    exchange.restart()

    assert activities(build_client(exchange)) == before
    assert build_client(exchange).get_account().cash == "101000.25"


def test_a_fall_of_the_price_shows_in_the_equity_at_once(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    ended(broker, broker.submit_order(limit("AAPL", 100, "buy", 100)))
    exchange_process.admin("accounts", {"key": "key", "last_equity": "100500"})
    seen = []
    for price in ("97", "95.50", "95"):
        exchange_process.admin("prices", {"AAPL": price})
        seen.append(broker.get_account().equity)

    assert seen == ["99700", "99550", "99500"]
    assert broker.get_account().last_equity == "100500"
    assert broker.get_open_position("AAPL").current_price == "95"


def test_alpaca_py_reads_the_latest_trades_of_shares_and_coins(exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("prices", {"AAPL": "187.25", "BTC/USD": "61234.5678"})
    keys = {"api_key": "key", "secret_key": "secret", "url_override": exchange_process.url}
    shares = StockHistoricalDataClient(**keys).get_stock_latest_trade(
        StockLatestTradeRequest(symbol_or_symbols=["AAPL", "ZZZZ"])
    )
    coins = CryptoHistoricalDataClient(**keys).get_crypto_latest_trade(
        CryptoLatestTradeRequest(symbol_or_symbols="BTC/USD")
    )

    assert {symbol: trade.price for symbol, trade in shares.items()} == {"AAPL": 187.25}
    assert coins["BTC/USD"].price == 61234.5678
    assert abs((datetime.now(UTC) - coins["BTC/USD"].timestamp).total_seconds()) < 60


def test_a_symbol_without_a_price_is_not_an_unknown_symbol(
    exchange_process: ExchangeProcess,
) -> None:
    broker = build_client(exchange_process)

    assert refused(lambda: broker.get("/stocks/ZZZZ/trades/latest")) == (404, {"message": "no trade found for ZZZZ"})
    assert refused(lambda: broker.get("/stocks/BTCUSD/trades/latest"))[0] == 400
    assert refused(lambda: broker.get("/stocks/NOSUCHTHING/trades/latest"))[0] == 400
