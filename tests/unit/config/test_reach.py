from __future__ import annotations

from collections.abc import Callable

import pytest

from config.checks.reachability import unreachable_by
from config.schema.executor import Executors

Loads = Callable[..., Executors]

SYMBOLS = ("AAPL", "MSFT", "BTC/USD")


def unreachable(loads: Loads, route: str, **produced: tuple[str, ...] | None) -> dict[str, str]:
    executor = loads(f"[executors.argo.route]\n{route}")["argo"]
    return {problem.key: problem.message for problem in unreachable_by(executor, **produced)}


def test_an_allowed_list_that_does_not_meet_the_sources_symbols_is_told(loads: Loads) -> None:
    # Entry B8 of tests/ORIGIN.md: an account that could never trade was not reported.
    assert unreachable(loads, 'symbols = ["SPY", "QQQ"]', symbols=SYMBOLS) == {
        "executors.argo.route.symbols": "takes none of the symbols of the source: AAPL, BTC/USD, MSFT"
    }


@pytest.mark.parametrize(
    ("route", "produced", "key"),
    [
        ('deny = ["AAPL", "MSFT", "BTC/USD"]', {"symbols": SYMBOLS}, "route.deny"),
        ('asset_classes = ["crypto"]', {"symbols": ("AAPL", "MSFT")}, "route.asset_classes"),
        ('asset_classes = ["us_equity"]\ndeny = ["AAPL", "MSFT"]', {"symbols": SYMBOLS}, "route.asset_classes"),
        ('symbols = ["AAPL"]\ndeny = ["AAPL"]', {"symbols": SYMBOLS}, "route.symbols"),
        ('strategies = ["other"]', {"strategies": ("consensus",)}, "route.strategies"),
        ('actions = ["SELL"]', {"actions": ("BUY", "SELL")}, "route.actions"),
        ('actions = ["BUY"]', {"actions": ("SELL",)}, "route.actions"),
    ],
)
def test_whatever_keeps_all_of_a_sources_signals_out_is_told(
    loads: Loads, route: str, produced: dict[str, tuple[str, ...]], key: str
) -> None:
    assert unreachable(loads, route, **produced).keys() == {f"executors.argo.{key}"}


@pytest.mark.parametrize(
    ("route", "produced"),
    [
        ('symbols = ["SPY", "AAPL"]', {"symbols": SYMBOLS}),
        ('symbols = ["SPY"]', {"symbols": None}),
        ('deny = ["AAPL"]', {"symbols": SYMBOLS}),
        ('asset_classes = ["crypto"]', {"symbols": SYMBOLS}),
        ('strategies = ["consensus"]', {"strategies": ("consensus", "other")}),
        ('strategies = ["consensus"]', {"strategies": None}),
        ('actions = ["SELL"]\n[executors.argo.order]\nallow_short = true', {"actions": ("BUY", "SELL")}),
        ('actions = ["SELL"]', {"actions": None}),
    ],
)
def test_what_can_be_traded_or_is_not_known_is_not_told(
    loads: Loads, route: str, produced: dict[str, tuple[str, ...] | None]
) -> None:
    assert unreachable(loads, route, **produced) == {}


def test_a_long_list_of_symbols_is_cut(loads: Loads) -> None:
    (message,) = unreachable(loads, 'symbols = ["SPY"]', symbols=tuple("ABCDEFGH")).values()

    assert message.endswith("A, B, C, D, E, F and 2 more")
