from __future__ import annotations

from collections.abc import Callable
from datetime import time
from decimal import Decimal
from pathlib import Path
from string import Template

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.executors import load_executors
from config.schema.executor import Executors, ExecutorSettings
from config.schema.fields import Section
from config.schema.sections import LimitSettings, SizeSettings
from config.schema.settings import load_settings

REPOSITORY = Path(__file__).parents[3]
Faults = Callable[[str], dict[str, str]]


def load(tmp_path: Path, text: str) -> Executors:
    path = tmp_path / "good.toml"
    path.write_text(text, encoding="utf-8")
    return load_executors(path, settings=load_settings())


def sections() -> list[type[Section]]:
    kinds = [field.annotation for field in ExecutorSettings.model_fields.values()]
    return [ExecutorSettings] + [k for k in kinds if isinstance(k, type) and issubclass(k, Section)]


@pytest.mark.parametrize("section", sections())
def test_every_key_has_a_description_and_a_default(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        is_table = isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        assert field.description, name
        if name == "id" or (is_table and not field.is_required()):
            continue
        named = "Required" if field.is_required() else "efault"
        assert named in field.description, name


def test_the_shipped_file_names_every_key_for_its_reader() -> None:
    text = (REPOSITORY / "config/executors.toml").read_text(encoding="utf-8")

    for section in sections():
        for name in section.model_fields:
            assert name == "id" or f"{name} = " in text or f".{name}]" in text, name


def test_off_switches_a_limit_off(tmp_path: Path, smallest: str) -> None:
    text = smallest.replace("drawdown_percent = 10", 'drawdown_percent = "off"\nentry_age_s = "off"')

    limits = load(tmp_path, text)["argo"].limits

    assert limits.drawdown_percent is None
    assert limits.entry_age_s is None


@pytest.mark.parametrize(
    "key",
    [f"{section.__name__} {name}" for section in sections() for name in section.model_fields if name.endswith("_s")],
)
def test_no_duration_is_longer_than_a_calculation_with_dates_can_take(key: str) -> None:
    section, name = key.split()
    kind = next(each for each in sections() if each.__name__ == section)

    with pytest.raises(ValidationError, match=rf"(?s){name}.*less than or equal to"):
        kind.model_validate({name: 999_999_999_999})


@given(st.decimals(min_value="0.000001", max_value=100, places=6))
def test_a_figure_is_exactly_the_digits_of_the_file(figure: Decimal) -> None:
    import tomllib

    parsed = tomllib.loads(f"value = {figure:f}", parse_float=Decimal)

    assert SizeSettings(method="equity_percent", value=parsed["value"]).value == figure


def test_a_figure_that_binary_floats_cannot_hold_stays_exact(tmp_path: Path, smallest: str) -> None:
    text = smallest.replace("value = 10", "value = 0.1")

    assert str(load(tmp_path, text)["argo"].size.value) == "0.1"


def test_a_time_of_day_may_be_text_or_a_toml_time(tmp_path: Path, smallest: str) -> None:
    for written in ('"17:00"', "17:00:00"):
        text = f"{smallest}[executors.argo.hours]\nday_starts_at = {written}\n"
        assert load(tmp_path, text)["argo"].hours.day_starts_at == time(17, 0)


LIMIT = Template("""
[executors.argo]
mode = "exchange"
size = {method = "quantity", value = 1}
[executors.argo.limits]
open_positions = $open_positions
gross_exposure_percent = $gross
daily_loss_percent = $daily
drawdown_percent = 10
stop_distance_percent = 20
""")


@pytest.mark.parametrize(
    ("open_positions", "gross", "daily", "wrong"),
    [
        ("0", "100", "5", "open_positions"),
        ("-1", "100", "5", "open_positions"),
        ("2.5", "100", "5", "open_positions"),
        ('"10"', "100", "5", "open_positions"),
        ('"none"', "100", "5", "open_positions"),
        ("false", "100", "5", "open_positions"),
        ("10", "0", "5", "gross_exposure_percent"),
        ("10", "401", "5", "gross_exposure_percent"),
        ("10", "inf", "5", "gross_exposure_percent"),
        ("10", '"Off"', "5", "gross_exposure_percent"),
        ("10", "100", "0", "daily_loss_percent"),
        ("10", "100", "100.01", "daily_loss_percent"),
        ("10", "100", "true", "daily_loss_percent"),
        ("10", "100", "[5]", "daily_loss_percent"),
    ],
)
def test_a_limit_is_a_number_in_its_range_or_off(
    faults_in: Faults, open_positions: str, gross: str, daily: str, wrong: str
) -> None:
    faults = faults_in(LIMIT.substitute(open_positions=open_positions, gross=gross, daily=daily))

    assert faults.keys() == {f"executors.argo.limits.{wrong}"}


def test_the_age_of_the_account_cannot_be_switched_off(faults_in: Faults, smallest: str) -> None:
    assert faults_in(smallest + 'account_age_s = "off"\n').keys() == {"executors.argo.limits.account_age_s"}


@pytest.mark.parametrize("method", ["equity_percent", "risk_percent"])
def test_a_size_in_percent_is_at_most_a_hundred(faults_in: Faults, smallest: str, method: str) -> None:
    text = smallest.replace('"equity_percent"', f'"{method}"').replace("value = 10", "value = 100.5")

    assert "at most 100" in faults_in(text)["executors.argo.size.value"]


def test_a_size_in_money_may_be_large(tmp_path: Path, smallest: str) -> None:
    text = smallest.replace('"equity_percent"', '"notional"').replace("value = 10", "value = 25000")

    assert load(tmp_path, text)["argo"].size.value == 25000


def test_limits_are_described_in_messages_on_one_line(faults_in: Faults, smallest: str) -> None:
    faults = faults_in(smallest + "pyramiding = 0\nrepeat_window_s = -1\n")

    assert len(faults) == 2
    assert [message for message in faults.values() if "\n" in message] == []
    assert LimitSettings.model_fields["pyramiding"].description in faults["executors.argo.limits.pyramiding"]
