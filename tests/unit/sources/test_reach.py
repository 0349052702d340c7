from __future__ import annotations

import types
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import load_settings
from pipeline.intake.source_reach import untraded_source_problems
from pipeline.intake.sources import protocol
from pipeline.intake.sources.protocol import Produces, SourceContext, produced_by

TEXT = """
[executors.argo]
mode = "{mode}"
size = {{method = "quantity", value = 1}}
limits = {{open_positions = 1}}
route = {{{route}}}
"""


@pytest.fixture
def executors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Executors]:
    monkeypatch.chdir(tmp_path)

    def load(route: str = "", *, mode: str = "exchange") -> Executors:
        live = mode == "live"
        text = TEXT.format(mode=mode, route=route)
        if live:
            monkeypatch.setenv("ARGO_API_KEY", "key")
            monkeypatch.setenv("ARGO_API_SECRET", "secret")
            monkeypatch.setenv("TRADEWIRE_LIVE", "I accept real orders on account 1")
            url = 'base_url = "https://api.alpaca.markets"\naccount = "1"'
            text = text.replace('mode = "live"', f'mode = "live"\n{url}')
        (tmp_path / "executors.toml").write_text(text, encoding="utf-8")
        return load_executors(tmp_path / "executors.toml", settings=load_settings())

    return load


Loads = Callable[..., Executors]


def test_the_replay_declares_the_symbols_of_the_shipped_bars() -> None:
    assert produced_by("replay", SourceContext()) == Produces(
        symbols=("AAPL", "FB", "GOOG", "IBM", "MSFT"), strategies=("consensus",), actions=("BUY", "SELL")
    )


def test_alpaca_declares_its_symbols_without_keys() -> None:
    assert produced_by("alpaca", SourceContext()).symbols == ("AAPL", "IBM", "MSFT")


@pytest.mark.parametrize("source", ["file", "drill", "none", "telepathy"])
def test_other_sources_declare_nothing(source: str, executors: Loads) -> None:
    assert produced_by(source, SourceContext()) == Produces()
    assert untraded_source_problems(source, executors('symbols = ["SPY"]')) == []


def test_a_source_that_cannot_be_imported_is_its_openers_to_report(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = EntryPoint(name="gone", value="no_such_module:open_source", group="tradewire.sources")
    monkeypatch.setattr(protocol, "known_sources", lambda: {"gone": gone})

    assert produced_by("gone", SourceContext()) == Produces()


def test_an_installed_source_may_declare_its_signals_too(monkeypatch: pytest.MonkeyPatch, executors: Loads) -> None:
    module = types.ModuleType("somebodys")
    module.produces = lambda _context: Produces(strategies=("theirs",))  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "somebodys", module)
    theirs = EntryPoint(name="theirs", value="somebodys:open_source", group="tradewire.sources")
    monkeypatch.setattr(protocol, "known_sources", lambda: {"theirs": theirs})

    assert [problem.key for problem in untraded_source_problems("theirs", executors('strategies = ["ours"]'))] == [
        "executors.argo.route.strategies"
    ]


def test_an_executor_that_can_never_trade_the_replay_is_reported_with_the_source(executors: Loads) -> None:
    # Entry B8 of tests/ORIGIN.md.
    (problem,) = untraded_source_problems("replay", executors('symbols = ["SPY", "QQQ"]'))

    assert problem.key == "executors.argo.route.symbols"
    assert "AAPL, FB, GOOG, IBM, MSFT" in problem.message
    assert problem.message.endswith("(source replay)")


def test_practice_is_never_traded_with_real_money(executors: Loads) -> None:
    live = executors(mode="live")

    assert [problem.key for problem in untraded_source_problems("replay", live)] == ["executors.argo.mode"]
    assert untraded_source_problems("alpaca", live) == []
