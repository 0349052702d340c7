"""`positions`, `trades` and `pnl` agree with the broker, and say what is not known."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipeline.model.errors import ConfigInvalid
from tests.command import app, commands_use
from tests.factories import Core
from tests.integration.accounts.fill_rows import FillRows
from tests.integration.cli.trading import MARKET, trade
from tests.unit.accounts.books.fills import fill

Run = Callable[..., Result]


@pytest.fixture
def run(trading: Core, monkeypatch: pytest.MonkeyPatch) -> Run:
    commands_use(trading, monkeypatch)

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0 or isinstance(result.exception, ConfigInvalid), result.output
        return result

    return invoke


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = json.loads(run(*arguments, "--json").stdout)
    return body


def total(rows: list[dict[str, Any]], *keys: str) -> Decimal:
    return sum((Decimal(row[key]) for row in rows for key in keys), Decimal(0))


def test_after_random_trades_of_two_strategies_the_profit_is_what_the_broker_says(trading: Core, run: Run) -> None:
    draw = random.Random(12)
    for _ in range(24):
        trading.prices(AAPL=draw.randint(9500, 10500) / 100, MSFT=draw.randint(4500, 5500) / 100)
        terms = {"strategy": draw.choice("xy"), "quantity": draw.randint(1, 5)}
        trade(trading, draw.choice(["AAPL", "MSFT"]), draw.choice(["BUY", "BUY", "SELL"]), **terms)
    broker = trading.runtimes["argo"].broker

    held = listed(run, "positions")
    earned = broker.account().equity - 100_000

    for by in ("account", "strategy", "symbol"):
        assert total(listed(run, "pnl", "--by", by), "realised", "unrealised") == earned, by
    assert total(listed(run, "pnl", "--by", "day"), "realised") == total(listed(run, "trades"), "realised")
    assert {row["symbol"]: Decimal(row["quantity"]) for row in held} == {
        each.symbol: each.quantity for each in broker.positions()
    }
    assert [total(row["strategies"], "quantity") for row in held] == [Decimal(row["quantity"]) for row in held]
    assert len(listed(run, "trades")) > 3
    assert f"{total(listed(run, 'pnl'), 'realised'):,.2f} USD" in run("pnl").stdout.splitlines()[-1]


def test_the_fee_in_coins_of_a_purchase_is_known_when_they_are_sold(trading: Core, run: Run) -> None:
    trading.prices(**{"ETH/USD": 1000})
    for strategy in "xy":
        trade(trading, "ETH/USD", "BUY", strategy=strategy, quantity=0.8, stop_price=None)
    trading.prices(**{"ETH/USD": 1100})
    for part in (50, 100):
        trade(trading, "ETH/USD", "SELL", strategy="x", intent="close", close_percent=part)

    first, second = listed(run, "trades")
    [held] = listed(run, "positions")

    assert first["trade_id"] != second["trade_id"]
    for sold in (first, second):
        assert (sold["quantity"], sold["realised"], sold["fees"]) == ("0.399", "39.9", "1")
    assert (held["quantity"], held["strategies"][0]["strategy"], held["strategies"][0]["quantity"]) == (
        "0.798",
        "y",
        "0.8",
    )


def test_a_position_is_shown_with_its_strategies_and_one_that_nobody_here_opened_without(
    trading: Core, run: Run
) -> None:
    trade(trading, "AAPL", "BUY", strategy="x", quantity=2, stop_price=90, target_price=120)
    trade(trading, "AAPL", "BUY", quantity=1, stop_price=95)
    trade(trading, "MSFT", "BUY", quantity=3)
    trading.rows("DELETE FROM fill WHERE symbol = 'MSFT' RETURNING fill_id")

    ours, foreign = listed(run, "positions")

    assert (ours["symbol"], ours["quantity"], ours["average_price"], ours["market_value"]) == (
        "AAPL",
        "3",
        "100",
        "300",
    )
    assert ours["strategies"] == [
        {"strategy": "x", "quantity": "2", "average_price": "100"},
        {"strategy": None, "quantity": "1", "average_price": "100"},
    ]
    assert (ours["stop_price"], ours["target_price"], ours["protected"]) == ("95", "120", False)
    assert (foreign["symbol"], foreign["quantity"], foreign["strategies"]) == ("MSFT", "3", [])
    assert (foreign["stop_price"], foreign["protected"], foreign["mode"]) == (None, None, "exchange")
    assert "x 2 at 100, no strategy 1 at 100" in run("positions").stdout
    assert "95 (no order)" in run("positions").stdout


def test_an_account_that_cannot_be_read_is_shown_as_last_read_with_its_age(
    trading: Core, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(trading, "AAPL", "BUY", quantity=2)
    before = listed(run, "positions")
    trading.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '90 seconds' RETURNING executor_id")
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", "http://127.0.0.1:9")

    result = run("positions", "--json")

    [row] = json.loads(result.stdout)
    assert row | {"read_at": None} == before[0] | {"read_at": None}
    assert "argo: the account cannot be read" in result.stderr
    assert "shown as read 9" in result.stderr
    trading.rows(
        "UPDATE account_snapshot SET positions = replace(positions::text, '\"100\"', '\"101\"')::jsonb RETURNING 1"
    )
    assert "argo: at prices of 9" in run("pnl").stderr


@pytest.fixture
def fills(trading: Core) -> FillRows:
    return FillRows(trading.record, trading.database_url)


def at(number: int, line: str, time: str) -> Any:
    return replace(fill(number, line), filled_at=datetime.fromisoformat(time).replace(tzinfo=UTC))


def test_days_begin_when_the_executors_hours_say(trading: Core, fills: FillRows, run: Run) -> None:
    # 17:00 in New York is 22:00 in UTC in winter, and 21:00 from March 8 on.
    hours = 'closed = "extended"\nday_starts_at = "17:00"'
    trading.executors_path.write_text(MARKET.replace('closed = "extended"', hours))
    fills.add(
        at(0, "a x entry buy 9 100", "2026-03-01T15:00"),
        at(1, "b x exit sell 1 101", "2026-03-07T21:59"),
        at(2, "c x exit sell 1 102", "2026-03-07T22:00"),
        at(3, "d x exit sell 1 99", "2026-03-08T21:00"),
    )

    days = listed(run, "pnl", "--by", "day")

    assert [(day["key"], day["realised"], day["unrealised"], day["trades"], day["wins"]) for day in days] == [
        ("2026-03-06", "1", None, 1, 1),
        ("2026-03-07", "2", None, 1, 1),
        ("2026-03-08", "-1", None, 1, 0),
    ]


def test_what_is_not_known_is_null_and_said(fills: FillRows, run: Run) -> None:
    fills.add(
        fill(0, "a x entry buy 3 100"),
        fill(1, "b x exit sell 1 101.5"),
        fill(2, "c x exit sell 4 102"),
        fill(3, "d x entry sell 1 10"),
    )

    newest, *_ = listed(run, "trades")
    unknown = next(row for row in listed(run, "trades") if row["entry_price"] is None)
    [row] = listed(run, "pnl")

    assert list(newest) == [
        "trade_id", "executor_id", "symbol", "strategy", "signal_id", "opened_at", "closed_at", "quantity",
        "entry_price", "exit_price", "fees", "realised", "exit_reason",
    ]  # fmt: skip
    assert (unknown["signal_id"], unknown["opened_at"], unknown["realised"], unknown["quantity"]) == (
        None, None, None, "2",
    )  # fmt: skip
    assert (row["key"], row["realised"], row["unrealised"], row["fees"]) == ("argo", "5.5", None, "0")
    assert list(row) == ["key", "executor_id", "realised", "unrealised", "fees", "trades", "wins"]
    assert (row["trades"], row["wins"]) == (3, 2)
    assert "1 trades have an unknown profit" in run("pnl").stdout
    assert "The total lacks 1 with an unknown profit." in run("trades").stdout
    assert len(listed(run, "trades", "--limit", "1")) == 1


@pytest.mark.parametrize(
    ("command", "text"),
    [("positions", "no positions"), ("trades", "no trades"), ("pnl", "no trades and no open positions of a strategy")],
)
def test_an_empty_list_says_so_and_an_unknown_executor_names_the_known(run: Run, command: str, text: str) -> None:
    assert run(command).stdout == f"{text}\n"
    assert listed(run, command) == []
    assert "there is argo" in str(run(command, "--executor", "bogus").exception)
