from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.executors import load_executors
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings
from pipeline.intake.routing import always_refused, may_be_exit, refusals
from pipeline.model.signals import Signal, read_signal
from pipeline.model.sources import PRACTICE
from tests.factories import executor_toml
from tests.factories import signal as raw_signal


def signal(**changes: Any) -> Signal:
    return read_signal(raw_signal(**changes))


def executor(folder: Path, route: str = "", *, order: str = "") -> ExecutorSettings:
    path = folder / "executors.toml"
    path.write_text(executor_toml(minimum_confidence=f"80\n{route}", order=order))
    return load_executors(path, settings=Settings(executors=path, home=folder))["argo"]


def in_live_mode(settings: ExecutorSettings) -> ExecutorSettings:
    return settings.model_copy(update={"mode": "live"})


def test_an_entry_that_no_rule_refuses_is_routed(tmp_path: Path) -> None:
    assert refusals(signal(confidence=80), executor(tmp_path)) == []


@pytest.mark.parametrize(
    ("route", "sent", "code", "facts"),
    [
        ("", {"confidence": "79.99"}, "confidence_below_minimum", {"minimum": "80", "was": "79.99"}),
        ('symbols = ["MSFT"]', {}, "symbol_not_routed", {"symbol": "AAPL"}),
        ('deny = ["AAPL"]', {}, "symbol_denied", {"symbol": "AAPL"}),
        ('asset_classes = ["crypto"]', {}, "asset_class_not_routed", {"asset_class": "us_equity"}),
        ('asset_classes = ["us_equity"]', {"symbol": "BTCUSD"}, "asset_class_not_routed", {"asset_class": "crypto"}),
        ('strategies = ["trend"]', {"strategy": "other"}, "strategy_not_routed", {"strategy": "other"}),
        ('strategies = ["trend"]', {}, "strategy_not_routed", {"strategy": "none"}),
        ('regimes = ["BULL"]', {"regime": "CRISIS"}, "regime_not_routed", {"regime": "CRISIS"}),
        ('actions = ["SELL"]', {}, "action_not_routed", {"action": "BUY"}),
        ("", {"executors": ["other"]}, "not_addressed", {"executors": "other"}),
    ],
)
def test_a_rule_refuses_with_its_code_and_figures(
    tmp_path: Path, route: str, sent: dict[str, Any], code: str, facts: dict[str, str]
) -> None:
    (reason,) = refusals(signal(**sent), executor(tmp_path, route))

    assert (reason.code, reason.to_json()) == (code, facts)


@pytest.mark.parametrize("written", ["BTCUSD", "btcusd", "btc-usd", "BTC-USD", "btc/usd", "BTC/USD"])
@pytest.mark.parametrize("sent", ["BTC/USD", "BTCUSD", "btc-usd"])
def test_a_denied_symbol_is_refused_in_each_spelling(tmp_path: Path, written: str, sent: str) -> None:
    settings = executor(tmp_path, f'deny = ["{written}"]')

    (reason,) = refusals(signal(symbol=sent), settings)

    assert (reason.code, reason.to_json()) == ("symbol_denied", {"symbol": "BTC/USD"})
    assert refusals(signal(symbol="ETH/USD"), settings) == []


@pytest.mark.parametrize("written", ["BTCUSD", "btc-usd", "BTC/USD"])
def test_an_allowed_symbol_is_routed_in_each_spelling(tmp_path: Path, written: str) -> None:
    assert refusals(signal(symbol="BTC/USD"), executor(tmp_path, f'symbols = ["{written}"]')) == []


@pytest.mark.parametrize(
    ("route", "sent"),
    [
        ('symbols = ["AAPL"]', {}),
        ('deny = ["MSFT"]', {}),
        ('asset_classes = ["us_equity"]', {}),
        ('strategies = ["trend"]', {"strategy": "trend"}),
        ('regimes = ["BULL"]', {"regime": "BULL"}),
        ('regimes = ["BULL"]', {}),
        ('actions = ["BUY"]', {}),
        ("", {"executors": ["other", "argo"]}),
    ],
)
def test_a_signal_that_the_route_allows_is_routed(tmp_path: Path, route: str, sent: dict[str, Any]) -> None:
    assert refusals(signal(**sent), executor(tmp_path, route)) == []


def test_every_reason_is_given_not_only_the_first(tmp_path: Path) -> None:
    settings = executor(tmp_path, 'deny = ["AAPL"]\nactions = ["SELL"]')

    codes = [reason.code for reason in refusals(signal(confidence=50, executors=["other"]), settings)]

    assert codes == ["not_addressed", "confidence_below_minimum", "symbol_denied", "action_not_routed"]


def test_practice_signals_are_for_no_live_account_even_as_exits(tmp_path: Path) -> None:
    settings = executor(tmp_path)
    practice = signal(source=PRACTICE, intent="close")

    assert always_refused(practice, settings) == []
    assert [reason.code for reason in always_refused(practice, in_live_mode(settings))] == ["practice_source"]
    assert always_refused(signal(source="webhook"), in_live_mode(settings)) == []


@pytest.mark.parametrize(
    ("action", "intent", "order", "possible"),
    [
        ("SELL", "auto", "", True),
        ("SELL", "close", "", True),
        ("SELL", "open", "", False),
        ("BUY", "auto", "", False),
        ("BUY", "auto", "allow_short = true", True),
        ("BUY", "close", "", True),
        ("BUY", "open", "allow_short = true", False),
    ],
)
def test_an_exit_is_possible_where_the_position_could_be_reduced(
    tmp_path: Path, action: str, intent: str, order: str, *, possible: bool
) -> None:
    assert may_be_exit(signal(action=action, intent=intent), executor(tmp_path, order=order)) is possible
