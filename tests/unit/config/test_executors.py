from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.executors import load_executors
from config.schema.executor import Executors, settings_hash
from config.schema.firm import Firm
from config.schema.sections import RISK_LIMITS, SizeSettings
from config.schema.settings import Settings, load_settings

REPOSITORY = Path(__file__).parents[3]
Faults = Callable[[str], dict[str, str]]

WITHOUT_LIMITS = """
[executors.argo]
mode = "exchange"
size = {method = "quantity", value = 1}
"""


def load(tmp_path: Path, text: str) -> Executors:
    path = tmp_path / "good.toml"
    path.write_text(text, encoding="utf-8")
    return load_executors(path, settings=load_settings())


def in_mode(smallest: str, mode: str, *, lines: str = "", executor_id: str = "argo") -> str:
    text = smallest.replace('mode = "exchange"', f'mode = "{mode}"\n{lines}')
    return text.replace("executors.argo", f"executors.{executor_id}")


def test_the_shipped_executors_have_the_published_figures(settings: Settings) -> None:
    executors = load_executors(REPOSITORY / "config/executors.toml", settings=settings)

    assert list(executors) == ["argo", "prop_firm"]
    argo, prop_firm = executors["argo"], executors["prop_firm"]
    assert argo.route.minimum_confidence == 75
    assert prop_firm.route.minimum_confidence == 82
    assert "CRISIS" not in (prop_firm.route.regimes or ())
    assert len(prop_firm.route.regimes or ()) == 7
    assert argo.size == SizeSettings(
        method="equity_percent",
        value=10,
        scale_at_100=Decimal("1.5"),
        maximum_percent=15,
        default_stop_percent=3,
    )
    assert prop_firm.size.default_stop_percent == Decimal("1.5")
    assert (prop_firm.size.value, prop_firm.size.scale_at_100) == (3, 1)
    assert [getattr(argo.limits, name) for name in RISK_LIMITS] == [10, 100, 5, 10, 20]
    assert [getattr(prop_firm.limits, name) for name in RISK_LIMITS] == [
        3,
        9,
        Decimal("4.5"),
        Decimal("2.0"),
        Decimal("1.5"),
    ]
    assert (argo.limits.on_breach, prop_firm.limits.on_breach) == ("halt", "flatten")
    for executor in executors.values():
        assert executor.mode == "exchange"
        assert executor.limits.buying_power_percent == 95
        assert executor.order.type == "limit"
        assert executor.order.collar_percent == Decimal("0.5")
        assert executor.order.entry_timeout_s == 60
        assert executor.limits.entry_age_s == 60
        assert executor.limits.consecutive_rejections == 10


def test_the_load_file_has_the_same_two_and_lets_only_routing_refuse(settings: Settings) -> None:
    executors = load_executors(REPOSITORY / "config/executors.load.toml", settings=settings)
    shipped = load_executors(REPOSITORY / "config/executors.toml", settings=settings)

    assert list(executors) == list(shipped)
    for executor_id, executor in executors.items():
        assert executor.route.minimum_confidence == shipped[executor_id].route.minimum_confidence
        assert executor.size == SizeSettings(method="quantity", value=1)
        assert executor.limits.entry_age_s == 3600
        assert executor.hours.closed == "extended"
        limits = executor.limits.model_dump(
            exclude={"entry_age_s", "account_age_s", "on_breach", "repeat_by", "next_day"}
        )
        assert set(limits.values()) == {None}
        assert limits.keys() <= executor.limits.model_fields_set
        assert executor.firm == Firm()


def test_defaults_fill_what_a_small_table_leaves_out(tmp_path: Path, smallest: str) -> None:
    argo = load(tmp_path, smallest)["argo"]

    assert argo.id == "argo"
    assert (argo.broker, argo.base_url, argo.account, argo.concurrency) == ("alpaca", None, None, 1)
    assert (argo.limits.buying_power_percent, argo.limits.entry_age_s, argo.limits.on_breach) == (
        95,
        60,
        "halt",
    )
    assert (argo.retry.attempts, argo.retry.broker_timeout_s, argo.retry.unknown_s) == (5, 3, 60)
    assert (argo.hours.closed, argo.hours.time_zone, argo.hours.day_starts_at) == (
        "hold",
        "America/New_York",
        time(0, 0),
    )
    assert (argo.order.type, argo.order.flip, argo.order.unprotected) == ("limit", "close", "allow")
    assert argo.order.allow_short is argo.size.fractional is False


def test_settings_are_frozen(tmp_path: Path, smallest: str) -> None:
    argo = load(tmp_path, smallest)["argo"]

    with pytest.raises(ValidationError):
        argo.limits.open_positions = 99  # type: ignore[misc]


@pytest.mark.parametrize("limit", RISK_LIMITS)
def test_an_executor_that_names_one_limit_on_risk_gets_argos_figures_for_the_rest(tmp_path: Path, limit: str) -> None:
    argos = dict(zip(RISK_LIMITS, [10, 100, 5, 10, 20], strict=True))

    limits = load(tmp_path, f"{WITHOUT_LIMITS}limits = {{{limit} = 1}}\n")["argo"].limits

    assert {name: getattr(limits, name) for name in RISK_LIMITS} == argos | {limit: 1}


def test_a_limit_on_risk_that_is_off_counts_as_named(tmp_path: Path) -> None:
    limits = load(tmp_path, f'{WITHOUT_LIMITS}limits = {{drawdown_percent = "off"}}\n')["argo"].limits

    assert (limits.drawdown_percent, limits.daily_loss_percent) == (None, 5)


def test_an_executor_without_limits_does_not_start(faults_in: Faults) -> None:
    assert faults_in(WITHOUT_LIMITS).keys() == {"executors.argo.limits"}


@pytest.mark.parametrize("limits", ["{}", "{buying_power_percent = 50}", '{entry_age_s = "off", on_breach = "halt"}'])
def test_limits_that_name_no_limit_on_risk_are_no_limits(faults_in: Faults, limits: str) -> None:
    faults = faults_in(f"{WITHOUT_LIMITS}limits = {limits}\n")

    assert faults.keys() == {"executors.argo.limits"}
    assert [name for name in RISK_LIMITS if name not in faults["executors.argo.limits"]] == []
    assert "does not start" in faults["executors.argo.limits"]


def test_all_problems_of_a_file_are_reported_at_once(faults_in: Faults, smallest: str) -> None:
    text = f"""
colour = "red"
{smallest}
surprise = 1
[executors.argo.route]
minimum_confidance = 80
symbols = ["AAPL", "XYZ//"]
regimes = []
[executors.argo.order]
type = "limti"
collar_percent = nan
allow_short = 1
[executors.argo.retry]
attempts = 0
broker_timeout_s = "5"
[executors.argo.hours]
time_zone = "Mars/Olympus"
day_starts_at = "25:00"
[executors.Second]
mode = "paper"
concurrency = 1.5
account = 12
size = 3
"""
    expected = {
        "colour": "executors",
        "executors.argo.limits.surprise": "known: account_age_s",
        "executors.argo.route.minimum_confidance": 'did you mean "minimum_confidence"',
        "executors.argo.route.symbols.1": "BTC/USD",
        "executors.argo.route.regimes": "leave the key out",
        "executors.argo.order.type": 'did you mean "limit"',
        "executors.argo.order.collar_percent": "finite",
        "executors.argo.order.allow_short": "true or false",
        "executors.argo.retry.attempts": "at least 1",
        "executors.argo.retry.broker_timeout_s": "without quotes",
        "executors.argo.hours.time_zone": "America/New_York",
        "executors.argo.hours.day_starts_at": "09:30",
        "executors.Second": "lower-case",
        "executors.Second.concurrency": "whole number",
        "executors.Second.account": "in quotes",
        "executors.Second.size": "table",
        "executors.Second.limits": "is missing",
        "executors.Second.base_url": "https://paper-api.alpaca.markets",
        "SECOND_API_KEY": "is not set",
        "SECOND_API_SECRET": "is not set",
    }

    faults = faults_in(text)

    assert faults.keys() == expected.keys()
    assert {key: faults[key] for key, part in expected.items() if part not in faults[key]} == {}


def test_the_id_is_the_name_of_the_table_and_no_key(faults_in: Faults, smallest: str) -> None:
    assert faults_in(in_mode(smallest, "exchange", lines='id = "other"')).keys() == {"executors.argo.id"}


def test_an_unknown_broker_is_refused_with_the_known_ones(faults_in: Faults, smallest: str) -> None:
    faults = faults_in(in_mode(smallest, "exchange", lines='broker = "alpacca"'))

    assert 'did you mean "alpaca"' in faults["executors.argo.broker"]


def test_a_mode_is_never_assumed(faults_in: Faults, smallest: str) -> None:
    assert "is missing" in faults_in(smallest.replace('mode = "exchange"', ""))["executors.argo.mode"]


def test_equal_settings_have_equal_hashes_however_they_are_written(tmp_path: Path, smallest: str) -> None:
    one = load(tmp_path, smallest)["argo"]
    other = load(tmp_path, smallest.replace("value = 10", "value = 10.00") + "entry_age_s = 60.0\n")["argo"]

    assert settings_hash(one) == settings_hash(other)


def test_another_figure_has_another_hash(tmp_path: Path, smallest: str) -> None:
    one = load(tmp_path, smallest)["argo"]
    other = load(tmp_path, smallest.replace("value = 10", "value = 10.01"))["argo"]

    assert settings_hash(one) != settings_hash(other)


def test_another_process_finds_the_same_hash(tmp_path: Path, smallest: str) -> None:
    here = settings_hash(load(tmp_path, smallest)["argo"])
    code = (
        "from config.executors import load_executors\n"
        "from config.schema.executor import settings_hash\n"
        f"print(settings_hash(load_executors({str(tmp_path / 'good.toml')!r})['argo']))"
    )

    there = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
    )

    assert there.stdout.strip() == here


@pytest.mark.parametrize("value", ["0.75", "1", "0.01"])
def test_a_lowest_confidence_that_looks_like_a_fraction_is_refused(
    smallest: str, faults_in: Faults, value: str
) -> None:
    faults = faults_in(f"{smallest}\n[executors.argo.route]\nminimum_confidence = {value}\n")

    assert "looks like a fraction" in faults["executors.argo.route.minimum_confidence"]


@pytest.mark.parametrize("value", ["0", "1.5", "100"])
def test_a_lowest_confidence_in_percent_is_taken(tmp_path: Path, smallest: str, value: str) -> None:
    loaded = load(tmp_path, f"{smallest}\n[executors.argo.route]\nminimum_confidence = {value}\n")

    assert str(loaded["argo"].route.minimum_confidence) == value
