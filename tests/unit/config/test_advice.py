from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.checks.warnings import warnings_of
from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import load_settings

REPOSITORY = Path(__file__).parents[3]
Loads = Callable[..., Executors]


def warned(executors: Executors) -> set[str]:
    return {problem.key.removeprefix("executors.argo.") for problem in warnings_of(executors, load_settings())}


def test_a_sound_executor_has_no_warning(loads: Loads) -> None:
    assert warned(loads()) == set()


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
        ('[executors.argo.groups]\ntech = ["AAPL"]', "groups"),
        (
            '[executors.argo.firm]\nflat_before_close_s = 60\n[executors.argo.hours]\nclosed = "extended"',
            "hours.closed",
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
        {"value": "30", "open_positions": "10\nsymbol_exposure_percent = 20"},
        {"method": '"quantity"', "value": "0.5"},
    ],
)
def test_a_size_that_is_never_traded_as_written_is_warned_about(loads: Loads, replaced: dict[str, str]) -> None:
    assert warned(loads(**replaced)) == {"size.value"}


def test_a_quantity_above_the_firms_is_warned_about(loads: Loads) -> None:
    firm = "[executors.argo.firm]\nmaximum_quantity = 9"

    assert warned(loads(firm, method='"quantity"', value="9.5")) == {"size.value"}
    assert warned(loads(firm, method='"quantity"', value="9")) == set()


@pytest.mark.parametrize("limit", ["group_positions", "group_exposure_percent"])
def test_a_limit_on_groups_without_a_group_is_warned_about(loads: Loads, limit: str) -> None:
    text = f"10\n{limit} = 3"

    assert warned(loads(open_positions=text)) == {f"limits.{limit}"}
    assert warned(loads('[executors.argo.groups]\ntech = ["AAPL"]', value="1", open_positions=text)) == set()


@pytest.mark.parametrize(
    "route",
    ['symbols = ["AAPL", "MSFT"]', 'deny = ["BTC/USD"]', 'asset_classes = ["us_equity"]'],
)
def test_a_group_with_symbols_that_are_never_traded_is_warned_about(loads: Loads, route: str) -> None:
    more = f'[executors.argo.route]\n{route}\n[executors.argo.groups]\ntech = ["AAPL", "BTC/USD"]'
    executors = loads(more, open_positions="10\ngroup_positions = 2")

    (warning,) = warnings_of(executors, load_settings())

    assert warning.key == "executors.argo.groups.tech"
    assert warning.message.startswith("BTC/USD is never traded")


def test_an_assumed_stop_farther_than_any_may_be_is_warned_about_when_it_was_chosen(loads: Loads) -> None:
    assert warned(loads(value="10\ndefault_stop_percent = 2", stop_distance_percent="1.5")) == {
        "size.default_stop_percent"
    }
    assert warned(loads(stop_distance_percent="1.5")) == set()


@pytest.mark.parametrize(
    ("limit", "firm", "key"),
    [
        ("daily_loss_percent", 'percent_of = "day_start"', "firm.percent_of"),
        ("daily_loss_percent", 'daily_loss_basis = "balance"', "firm.daily_loss_basis"),
        ("drawdown_percent", 'drawdown = "static"\ninitial_balance = 25000', "firm.drawdown"),
    ],
)
def test_how_a_limit_that_is_off_would_be_counted_is_warned_about(
    loads: Loads, limit: str, firm: str, key: str
) -> None:
    assert warned(loads(f"[executors.argo.firm]\n{firm}", **{limit: '"off"'})) == {key}
    assert warned(loads(f"[executors.argo.firm]\n{firm}")) == set()
