"""No option takes a number that is not finite, or a time below zero."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tests.command import app

COMMANDS = [
    "signal send --wait",
    "flatten argo --wait",
    "up --for",
    "doctor --watch --",
    "probe argo --wait",
    "drill --pace",
    "exchange fault timeout --for",
    "exchange fault timeout --probability",
]


@pytest.mark.parametrize("number", ["nan", "inf", "-1"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_number_that_is_not_finite_or_is_below_zero_is_refused(command: str, number: str) -> None:
    ended = CliRunner().invoke(app, [*command.split(), number])

    assert ended.exit_code == 2
    assert "Invalid value for" in ended.output


@pytest.mark.parametrize("command", ["executions", "trades", "webhook deliveries", "alerts list"])
def test_a_limit_that_no_list_can_have_is_refused(command: str) -> None:
    ended = CliRunner().invoke(app, [*command.split(), "--limit", str(2**63 - 1)])

    assert ended.exit_code == 2
    assert "Invalid value for" in ended.output
