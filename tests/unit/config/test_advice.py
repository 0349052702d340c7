from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from config.advice import notes_of, warnings_of
from config.executors import Executors, load_executors
from config.settings import load_settings

REPOSITORY = Path(__file__).parents[3]
Loads = Callable[..., Executors]


@pytest.fixture
def loads(tmp_path: Path, smallest: str) -> Loads:
    """Load the smallest executor with replacements of its text and further lines."""

    def load(more: str = "", **replaced: str) -> Executors:
        text = smallest
        for name, value in replaced.items():
            lines = [f"{name} = {value}" if at.startswith(f"{name} =") else at for at in text.splitlines()]
            text = "\n".join(lines)
        path = tmp_path / "executors.toml"
        path.write_text(f"{text}\n{more}", encoding="utf-8")
        return load_executors(path, settings=load_settings())

    return load


def warned(executors: Executors) -> set[str]:
    return {problem.key.removeprefix("executors.argo.") for problem in warnings_of(executors, load_settings())}


def noted(executors: Executors) -> set[str]:
    return {problem.key.removeprefix("executors.argo.") for problem in notes_of(executors)}


def test_a_sound_executor_has_neither_warning_nor_note(loads: Loads) -> None:
    executors = loads()

    assert warned(executors) == noted(executors) == set()


@pytest.mark.parametrize("name", ["executors.toml", "executors.load.toml"])
def test_the_shipped_files_have_no_warning(name: str) -> None:
    executors = load_executors(REPOSITORY / "config" / name, settings=load_settings())

    assert warnings_of(executors, load_settings()) == []


def test_an_unknown_variable_is_warned_about(loads: Loads, monkeypatch: pytest.MonkeyPatch) -> None:
    executors = loads()
    monkeypatch.setenv("TRADEWIRE_HOEM", "x")

    assert warned(executors) == {"TRADEWIRE_HOEM"}


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[executors.argo.route]\nsymbols = ["AAPL", "GME"]\ndeny = ["GME"]', "route.deny"),
        ('[executors.argo.route]\nsymbols = ["BTC/USD"]\nasset_classes = ["us_equity"]', "route.symbols"),
        ('[executors.argo.route]\nactions = ["SELL"]', "route.actions"),
        ('[executors.argo.order]\nflip = "reverse"', "order.flip"),
        (
            '[executors.argo.order]\ntype = "market"\n[executors.argo.hours]\nclosed = "extended"',
            "order.type",
        ),
        ("[executors.argo.retry]\nbroker_timeout_s = 30\nunknown_s = 20", "retry.unknown_s"),
    ],
)
def test_what_can_hardly_be_meant_is_warned_about(loads: Loads, more: str, key: str) -> None:
    assert warned(loads(more)) == {key}


@pytest.mark.parametrize(
    "replaced",
    [
        {"value": "10\nmaximum_percent = 9"},
        {"value": "30", "gross_exposure_percent": "20"},
        {"method": '"quantity"', "value": "0.5"},
    ],
)
def test_a_size_that_is_never_traded_as_written_is_warned_about(loads: Loads, replaced: dict[str, str]) -> None:
    assert warned(loads(**replaced)) == {"size.value"}


@pytest.mark.parametrize(
    ("replaced", "key"),
    [
        ({"daily_loss_percent": "10.5"}, "limits.daily_loss_percent"),
        ({"value": "10\nmaximum_percent = 15"}, "size.maximum_percent"),
        ({"open_positions": "9"}, "limits.gross_exposure_percent"),
        ({"open_positions": "11"}, "limits.open_positions"),
    ],
)
def test_a_limit_behind_a_tighter_one_is_noted(loads: Loads, replaced: dict[str, str], key: str) -> None:
    assert noted(loads(**replaced)) == {key}


@pytest.mark.parametrize("limit", ["daily_loss_percent", "drawdown_percent", "open_positions"])
def test_a_limit_that_is_off_makes_no_other_unreachable(loads: Loads, limit: str) -> None:
    assert noted(loads(**{limit: '"off"'})) == set()


def test_a_tighter_drawdown_is_indeed_reached_before_the_daily_loss() -> None:
    # The claim behind the note, over equities from peak to ruin: peak 100, the day's start anywhere below.
    daily, drawdown = Decimal("4.5"), Decimal(2)

    for start in range(50, 101):
        for equity in range(1, start):
            if (start - equity) * 100 >= daily * start:
                assert (100 - equity) * 100 >= drawdown * 100
