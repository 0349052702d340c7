"""`report` prints the counts, what is left of each limit, and the switches that are on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.accounts.switches import Switches
from pipeline.model.switches import SwitchKind
from tests.command import app, commands_use
from tests.factories import Core
from tests.integration.views.test_reports import KEYS
from tests.integration.watching import hold, limited, look, lose

Report = Callable[..., str]


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    """A core whose account has lost 4500 of the 5000 that the daily loss limit allows."""
    core = make_core(limited(drawdown=10))
    hold(core)
    lose(core, 4500)
    look(core)
    return core


@pytest.fixture
def report(core: Core, monkeypatch: pytest.MonkeyPatch) -> Report:
    commands_use(core, monkeypatch)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False, standalone_mode=False)
        return result.stdout

    return run


def test_json_has_the_contracts_keys_and_what_limits_leave_and_switches_stop(core: Core, report: Report) -> None:
    Switches(core.record).turn("argo", SwitchKind.PAUSED, by="ann@desk", why="lunch")

    body: dict[str, Any] = json.loads(report("--json"))

    assert list(body) == [*KEYS.split(), "headroom", "switches"]
    rooms = {room["limit"]: room for room in body["headroom"]}
    assert (rooms["daily_loss_percent"]["left"], rooms["daily_loss_percent"]["rung"]) == ("500", "reduce")
    assert rooms["drawdown_percent"]["percent"] == "45.0"
    stands = {(each["kind"], each["cause"]): each for each in body["switches"]}
    assert set(stands) == {("paused", "person"), ("reducing", "daily_loss")}
    assert stands["paused", "person"]["why"] == "lunch"
    assert {each["account"] for each in body["switches"]} == {rooms["drawdown_percent"]["account"]}


def test_people_see_a_line_per_limit_and_per_switch(report: Report) -> None:
    lines = report().splitlines()

    [head] = [line for line in lines if line.startswith("limits")]
    [loss] = [line for line in lines if "daily_loss" in line and line.endswith("reduce")]
    assert head.split() == ["limits", "used", "allowed", "left", "unit", "%", "used"]
    assert loss.split() == ["argo", "daily_loss", "4500", "5000", "500", "USD", "90.0", "%", "reduce"]
    [stopped] = [line for line in lines if "reducing" in line]
    assert stopped.startswith("argo")
    assert "reducing_daily_loss lost=4500.00 allowed=5000.00" in stopped


def test_counts_are_told_also_when_the_executors_file_is_broken(core: Core, report: Report) -> None:
    core.executors_path.write_text("[executors.argo]\nnonsense = 1\n")

    body = json.loads(report("--json"))

    assert (body["executions"], body["headroom"], body["switches"]) == (1, None, None)


def test_a_gain_uses_nothing_of_a_loss_limit(core: Core, report: Report) -> None:
    lose(core, -300)
    look(core)

    [loss] = [line for line in report().splitlines() if line.split()[1:2] == ["daily_loss"]]

    assert loss.split()[2:8] == ["0", "5000", "5000", "USD", "0", "%"]


def test_states_and_reasons_are_below_headings(core: Core, report: Report) -> None:
    core.send("MSFT", confidence=10)

    lines = [line.strip() for line in report().splitlines()]

    assert lines.index("by state") < lines.index("by reason") < lines.index("1  confidence_below_minimum")
