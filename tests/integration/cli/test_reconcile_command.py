"""`reconcile` compares the accounts now, shows what differs, and adopts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.command import app, commands_use
from tests.factories import Core, executor_toml
from tests.integration.keeper.reconciling import trade_by_hand


@pytest.fixture
def core(make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch) -> Core:
    """A core with two executors, which the commands use too."""
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.prices(AAPL=100, MSFT=100)
    commands_use(core, monkeypatch)
    return core


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["reconcile", *arguments])


def said(*arguments: str, code: int) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def test_accounts_that_agree_with_the_record_are_clean(core: Core) -> None:
    body = said(code=0)

    assert [(each["executor_id"], each["clean"]) for each in body["executors"]] == [("argo", True), ("prop_firm", True)]
    assert all(each["at"] for each in body["executors"])
    assert body["findings"] == []
    assert "argo: agrees with the record" in run().stdout


def test_one_command_finds_a_position_and_another_adopts_it(core: Core) -> None:
    trade_by_hand(core, 3)

    (finding,) = said(code=1)["findings"]
    assert set(finding) == {"finding_id", "executor_id", "kind", "symbol", "state", "facts", "remedy"}
    assert (finding["executor_id"], finding["kind"], finding["symbol"]) == ("argo", "foreign_position", "AAPL")
    assert (finding["state"], finding["facts"]["broker"]) == ("open", "3")
    assert "--adopt" in finding["remedy"]
    assert "foreign_position" in run().stdout
    assert said("--executor", "prop_firm", code=0)["findings"] == []

    assert said("--adopt", "--symbol", "MSFT", code=1)["findings"][0]["state"] == "open"
    assert said("--adopt", "--why", "mine", "--by", "ann", code=0)["findings"][0]["state"] == "adopted"
    assert said(code=0)["executors"][0]["clean"]
    (row,) = core.rows("SELECT closed_by, closed_why FROM finding")
    assert row == {"closed_by": "ann", "closed_why": "mine"}
    held = json.loads(CliRunner().invoke(app, ["positions", "--executor", "argo", "--json"]).stdout)
    assert [(each["quantity"], each["strategies"]) for each in held] == [
        ("3", [{"strategy": "manual", "quantity": "3", "average_price": None}])
    ]
    assert core.rows("SELECT quantity FROM holding WHERE strategy = 'manual'") == [{"quantity": Decimal(3)}]


def test_an_account_that_cannot_be_read_is_named(core: Core) -> None:
    core.exchange.stop()

    result = run("--executor", "argo")

    assert result.exit_code == 1
    assert "argo: the account could not be read to the end" in result.output


@pytest.mark.parametrize("arguments", [["--executor", "nobody"], ["--symbol", "AAPL"], ["--adopt", "--symbol", "?"]])
def test_a_wrong_argument_is_refused(core: Core, arguments: list[str]) -> None:
    assert run(*arguments).exit_code != 0
    assert core.rows("SELECT * FROM finding") == []
