"""A filter or a command that finds nothing says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from pipeline.model.errors import ConfigInvalid
from tests.command import app, commands_use
from tests.factories import Core

Run = Callable[..., Result]


@pytest.fixture
def run(core: Core, monkeypatch: pytest.MonkeyPatch) -> Run:
    commands_use(core, monkeypatch)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", [["executions"], ["dead", "list"], ["tail"]])
def test_an_unknown_executor_is_refused_and_the_known_ones_are_named(run: Run, command: list[str]) -> None:
    result = run(*command, "--executor", "bogus")

    assert isinstance(result.exception, ConfigInvalid)
    assert "'bogus' is not in" in str(result.exception)
    assert "there is argo" in str(result.exception)


def test_an_executor_without_executions_is_no_mistake(run: Run) -> None:
    assert run("executions", "--executor", "argo").exit_code == 0


@pytest.mark.parametrize("command", ["requeue", "discard"])
def test_all_of_no_dead_letters_says_so(run: Run, command: str) -> None:
    assert run("dead", command, "all").stdout == "no dead letters\n"
