from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from config.checks.shadowed_limits import shadowed_limits
from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import load_settings

REPOSITORY = Path(__file__).parents[3]
Loads = Callable[..., Executors]


def noted(executors: Executors) -> set[str]:
    return {problem.key.removeprefix("executors.argo.") for problem in shadowed_limits(executors)}


def test_a_sound_executor_has_no_note(loads: Loads) -> None:
    assert noted(loads()) == set()


@pytest.mark.parametrize(
    ("replaced", "key"),
    [
        ({"daily_loss_percent": "10.5"}, "limits.daily_loss_percent"),
        ({"value": "10\nmaximum_percent = 15"}, "size.maximum_percent"),
        ({"open_positions": "9"}, "limits.gross_exposure_percent"),
        ({"open_positions": "11"}, "limits.open_positions"),
    ],
)
def test_a_limit_that_a_tighter_one_shadows_is_noted(loads: Loads, replaced: dict[str, str], key: str) -> None:
    assert noted(loads(**replaced)) == {key}


@pytest.mark.parametrize("limit", ["daily_loss_percent", "drawdown_percent", "open_positions"])
def test_a_limit_that_is_off_makes_no_other_unreachable(loads: Loads, limit: str) -> None:
    assert noted(loads(**{limit: '"off"'})) == set()


def test_a_tighter_drawdown_is_reached_before_the_daily_loss() -> None:
    # Test what the note claims for a peak of 100, with each lower equity at the start of the day and now.
    daily, drawdown = Decimal("4.5"), Decimal(2)

    for start in range(50, 101):
        for equity in range(1, start):
            if (start - equity) * 100 >= daily * start:
                assert (100 - equity) * 100 >= drawdown * 100


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("symbol_exposure_percent = 101", "limits.symbol_exposure_percent"),
        ("symbol_exposure_percent = 10.5", "limits.symbol_exposure_percent"),
        ("group_exposure_percent = 101", "limits.group_exposure_percent"),
        ("group_positions = 11", "limits.group_positions"),
        ("orders_per_day = 14401\nrequests_per_minute = 10", "limits.orders_per_day"),
    ],
)
def test_a_limit_on_a_part_that_the_limit_on_the_whole_shadows_is_noted(loads: Loads, line: str, key: str) -> None:
    assert noted(loads(open_positions=f"10\n{line}")) == {key}


@pytest.mark.parametrize(
    "line",
    [
        "symbol_exposure_percent = 10",
        "group_exposure_percent = 100",
        "group_positions = 10",
        "orders_per_day = 14400\nrequests_per_minute = 10",
    ],
)
def test_a_limit_that_is_reached_together_with_another_is_not_noted(loads: Loads, line: str) -> None:
    assert noted(loads(open_positions=f"10\n{line}")) == set()


def test_scaling_by_volatility_lets_limits_be_reached(loads: Loads) -> None:
    scaled = "volatility_target_percent = 2\nvolatility_scale_maximum = 2"

    assert noted(loads(open_positions="5")) == {"limits.gross_exposure_percent"}
    assert noted(loads(open_positions="5", value=f"10\n{scaled}")) == set()
    assert noted(loads(open_positions="11", value=f"10\n{scaled}")) == set()
    assert noted(loads(value=f"10\nmaximum_percent = 20.5\n{scaled}")) == {"size.maximum_percent"}


@pytest.mark.parametrize(
    "firm",
    ['percent_of = "initial_balance"', 'daily_loss_basis = "balance"', 'drawdown = "static"'],
)
def test_loss_limits_that_are_counted_from_different_figures_are_not_compared(loads: Loads, firm: str) -> None:
    executors = loads(f"[executors.argo.firm]\ninitial_balance = 25000\n{firm}", daily_loss_percent="10.5")

    assert noted(executors) == set()


def test_a_value_that_a_pack_overrules_is_noted_with_the_files_value(tmp_path: Path, smallest: str) -> None:
    path = tmp_path / "executors.toml"
    path.write_text(
        smallest.replace('mode = "exchange"', 'mode = "exchange"\npack = "trailing"').replace(
            "drawdown_percent = 10", 'drawdown_percent = "off"'
        ),
        encoding="utf-8",
    )

    notes = {
        problem.key: problem.message for problem in shadowed_limits(load_executors(path, settings=load_settings()))
    }

    assert notes == {
        "executors.argo.limits.daily_loss_percent": '5 in the file does not hold: pack "trailing" is tighter',
        "executors.argo.limits.drawdown_percent": 'off in the file does not hold: pack "trailing" is tighter',
    }
