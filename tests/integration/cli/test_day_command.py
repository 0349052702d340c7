"""The books of a day close, agree with the exchange's ledger, and show what is not known as unknown."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from tests.command import app, commands_use
from tests.factories import Core
from tests.integration.cli.trading import trade
from tests.integration.watching import look

Run = Callable[..., Result]


@pytest.fixture
def run(trading: Core, monkeypatch: pytest.MonkeyPatch) -> Run:
    commands_use(trading, monkeypatch)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def books(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("day", *arguments, "--json")
    assert result.exit_code == 0, result.output
    [body] = json.loads(result.stdout)
    return dict(body)


def test_after_random_trades_every_sum_closes_and_agrees_with_the_ledger_of_the_exchange(
    trading: Core, run: Run
) -> None:
    look(trading)
    draw = random.Random(7)
    for _ in range(20):
        trading.prices(AAPL=draw.randint(9500, 10500) / 100, MSFT=draw.randint(4500, 5500) / 100)
        action = draw.choice(["BUY", "BUY", "SELL"])
        trade(trading, draw.choice(["AAPL", "MSFT"]), action, quantity=draw.randint(1, 5))
    trading.prices(AAPL=123, MSFT=45)
    look(trading)
    broker = trading.runtimes["argo"].broker

    day = books(run)

    assert day["signals"] == sum(day["outcomes"].values()) + day["elsewhere"] == 20
    assert day["decided"] == 20
    assert day["orders"] == day["outcomes"]["filled"] == day["fills"]
    assert {each["symbol"]: Decimal(each["after"]) for each in day["symbols"] if each["after"] != "0"} == {
        each.symbol: each.quantity for each in broker.positions()
    }
    for each in day["symbols"]:
        assert Decimal(each["before"]) + Decimal(each["bought"]) - Decimal(each["sold"]) == Decimal(each["after"])
        assert each["broker"] == each["after"]
    assert (day["start_equity"], Decimal(day["end_equity"])) == ("100000", broker.account().equity)
    assert Decimal(day["equity_change"]) == broker.account().equity - 100_000 != 0
    assert day["trades"] > 0
    assert Decimal(day["realised"]) != 0
    assert day["unexplained"] == "0"
    shown = run("day").stdout
    assert ", so far" in shown
    assert "unexplained 0.00 USD" in shown


def test_what_moves_the_equity_beside_our_trades_is_unexplained(trading: Core, run: Run) -> None:
    look(trading)
    trade(trading, "AAPL", "BUY", quantity=2)
    look(trading)
    trading.rows("UPDATE account_day SET start_equity = start_equity - 12.34 RETURNING day")

    assert books(run)["unexplained"] == "12.34"


def test_a_figure_that_the_record_does_not_have_is_unknown_and_never_zero(trading: Core, run: Run) -> None:
    before = books(run)
    shown = run("day").stdout

    for key in ("start_equity", "end_equity", "equity_change", "unexplained", "limits_warned"):
        assert before[key] is None, key
    assert "unexplained unknown" in shown
    assert "warned of: unknown" in shown

    look(trading)
    trade(trading, "AAPL", "BUY", quantity=2)
    # The reading is older than the fill, so the position and the profit of what is open are not known yet.
    trading.rows("UPDATE fill SET filled_at = filled_at + interval '1 second' RETURNING fill_id")
    trading.rows(
        "UPDATE account_snapshot SET taken_at = (SELECT filled_at - interval '1 second' FROM fill) RETURNING 1"
    )
    early = books(run)
    assert (early["symbols"][0]["after"], early["symbols"][0]["broker"]) == ("2", None)
    assert (early["unrealised_change"], early["unexplained"]) == (None, None)


def test_a_past_day_has_its_own_trades_and_a_position_held_over_night_makes_the_equation_unknown(
    trading: Core, run: Run
) -> None:
    look(trading)
    trade(trading, "AAPL", "BUY", quantity=2)
    look(trading)
    yesterday = (datetime.now(ZoneInfo("America/New_York")) - timedelta(days=1)).date().isoformat()
    for statement in (
        "UPDATE fill SET filled_at = filled_at - interval '1 day'",
        "UPDATE signal SET recorded_at = recorded_at - interval '1 day'",
    ):
        trading.rows(statement + " RETURNING 1")

    past, today = books(run, yesterday), books(run)

    assert (past["day"], past["over"], past["signals"], past["fills"]) == (yesterday, True, 1, 1)
    assert past["end_equity"] is None
    assert (past["symbols"][0]["after"], past["symbols"][0]["broker"]) == ("2", None)
    assert (today["signals"], today["fills"], today["symbols"][0]["before"]) == (0, 0, "2")
    assert today["symbols"][0]["broker"] == "2"
    assert (today["realised"], today["unrealised_change"], today["unexplained"]) == ("0", None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2999-01-01"], "has not begun"),
        (["yesterday"], "does not match"),
    ],
)
def test_a_date_that_is_none_or_has_not_come_is_refused(
    trading: Core, run: Run, arguments: list[str], message: str
) -> None:
    result = run("day", *arguments)

    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_an_unknown_executor_is_refused_with_the_known_ones(trading: Core, run: Run) -> None:
    assert "there is argo" in str(run("day", "--executor", "moon").exception)
