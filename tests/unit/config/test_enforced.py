from __future__ import annotations

from pathlib import Path

import pytest

from config import enforced
from config.enforced import not_enforced_yet
from config.executors import Executors, ExecutorSettings, load_executors
from config.fields import Section
from config.settings import load_settings


def load(tmp_path: Path, text: str) -> Executors:
    path = tmp_path / "executors.toml"
    path.write_text(text, encoding="utf-8")
    return load_executors(path, settings=load_settings())


def test_a_key_that_does_not_act_yet_is_named_once_for_all_executors(tmp_path: Path, smallest: str) -> None:
    text = smallest + smallest.replace("executors.argo", "executors.prop_firm")

    assert not_enforced_yet(load(tmp_path, text)) == [
        "limits.open_positions",
        "limits.gross_exposure_percent",
        "limits.daily_loss_percent",
        "limits.drawdown_percent",
        "limits.stop_distance_percent",
    ]


def test_neither_defaults_nor_limits_that_are_off_are_named(tmp_path: Path, smallest: str) -> None:
    off = [f'{line.split(" = ")[0]} = "off"' if "_percent = " in line else line for line in smallest.splitlines()]

    assert not_enforced_yet(load(tmp_path, "\n".join(off))) == ["limits.open_positions"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('method = "equity_percent"', False),
        ('method = "notional"', False),
        ('method = "quantity"', False),
        ('method = "risk_percent"', True),
    ],
)
def test_only_the_size_method_that_does_not_act_yet_is_named(
    tmp_path: Path, smallest: str, line: str, *, named: bool
) -> None:
    text = smallest.replace('method = "equity_percent"', line)

    assert ("size.method" in not_enforced_yet(load(tmp_path, text))) is named


@pytest.mark.parametrize(("value", "named"), [("true", True), ("false", False)])
def test_fractions_are_named_only_when_asked_for(tmp_path: Path, smallest: str, value: str, *, named: bool) -> None:
    text = smallest.replace("value = 10", f"value = 10\nfractional = {value}")

    assert ("size.fractional" in not_enforced_yet(load(tmp_path, text))) is named


def keys(section: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= keys(kind, f"{prefix}{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


def test_the_list_of_what_acts_names_only_keys_that_exist() -> None:
    assert enforced._ACTING | enforced._ACTING_VALUES.keys() <= keys(ExecutorSettings)
