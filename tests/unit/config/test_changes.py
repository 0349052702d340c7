from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.checks.changes import Change, differences, loosened
from config.checks.strictness import DIRECTIONS
from config.schema.executor import ExecutorSettings
from config.schema.fields import Section

DUMP: dict[str, Any] = ExecutorSettings.model_validate(
    {
        "id": "argo",
        "mode": "paper",
        "base_url": "https://paper-api.alpaca.markets",
        "size": {"method": "equity_percent", "value": 10},
        "limits": {"open_positions": 10},
    }
).model_dump(mode="json")

#: For each key, a value and one that allows more.
LOOSENINGS: dict[str, tuple[Any, Any]] = {
    "broker": ("alpaca", "other"),
    "mode": ("paper", "live"),
    "base_url": ("https://paper-api.alpaca.markets", "https://api.alpaca.markets"),
    "base_url_allowed": (None, "broker.example.org"),
    "account": ("PA1", None),
    "pack": ("two_step", None),
    "route.minimum_confidence": ("82", "75"),
    "route.symbols": (["SPY"], ["SPY", "QQQ"]),
    "route.deny": (["GME", "AMC"], ["AMC"]),
    "route.asset_classes": (["us_equity"], None),
    "route.strategies": (["consensus"], ["consensus", "other"]),
    "route.regimes": (["BULL"], ["BULL", "CRISIS"]),
    "route.actions": (["BUY"], ["BUY", "SELL"]),
    "size.method": ("equity_percent", "quantity"),
    "size.value": ("9.5", "10"),
    "size.scale_at_100": ("1", "1.5"),
    "size.maximum_percent": ("15", None),
    "size.fractional": (False, True),
    "size.default_stop_percent": ("3", "1.5"),
    "size.volatility_target_percent": (None, "2"),
    "size.volatility_scale_maximum": ("1", "1.5"),
    "order.type": ("limit", "market"),
    "order.collar_percent": ("0.5", "1"),
    "order.entry_timeout_s": (60.0, 90.0),
    "order.allow_short": (False, True),
    "order.flip": ("close", "reverse"),
    "order.close_scope": ("strategy", "account"),
    "order.cancel_foreign": ("never", "always"),
    "order.unprotected": ("guard", "allow"),
    "limits.open_positions": (9, 10),
    "limits.gross_exposure_percent": ("100", "120"),
    "limits.symbol_exposure_percent": ("20", None),
    "limits.group_positions": (3, 4),
    "limits.group_exposure_percent": ("40", "50"),
    "limits.daily_loss_percent": ("4.5", "5"),
    "limits.drawdown_percent": ("2", None),
    "limits.stop_distance_percent": ("1.5", "20"),
    "limits.buying_power_percent": ("95", "100"),
    "limits.entry_age_s": (60.0, 61.0),
    "limits.price_drift_percent": ("1", None),
    "limits.requests_per_minute": (200, 300),
    "limits.orders_per_day": (100, None),
    "limits.consecutive_rejections": (10, None),
    "limits.repeat_window_s": (300.0, 60.0),
    "limits.repeat_by": ("idea", "content"),
    "limits.pyramiding": (1, 2),
    "limits.account_age_s": (5.0, 6.0),
    "limits.on_breach": ("flatten", "halt"),
    "limits.next_day": ("stay", "resume"),
    "hours.closed": ("hold", "extended"),
    "hours.hold_s": (3600.0, 64800.0),
    "hours.time_zone": ("America/Chicago", "Europe/Prague"),
    "hours.day_starts_at": ("00:00", "17:00"),
    "groups": ({"tech": ["AAPL", "MSFT"]}, {"tech": ["AAPL"]}),
    "firm.percent_of": ("day_start", "initial_balance"),
    "firm.daily_loss_basis": ("equity", "balance"),
    "firm.drawdown": ("trailing", "static"),
    "firm.initial_balance": ("25000", "50000"),
    "firm.maximum_quantity": ("500", "501"),
    "firm.flat_before_close_s": (600.0, 300.0),
    "firm.consistency_percent": ("30", "40"),
    "firm.minimum_hold_s": (60.0, None),
}

#: For each of these keys, two values of which neither allows more.
HARMLESS: dict[str, tuple[Any, Any]] = {
    "id": ("argo", "other"),
    "concurrency": (1, 8),
    "retry.attempts": (5, 9),
    "retry.broker_timeout_s": (3.0, 9.0),
    "retry.unknown_s": (60.0, 90.0),
}

#: Neither value of these is clearly tighter, so a change in either direction counts as loosening.
BOTH_WAYS = {
    "broker",
    "base_url",
    "base_url_allowed",
    "size.method",
    "size.volatility_target_percent",
    "order.close_scope",
    "order.cancel_foreign",
    "hours.time_zone",
    "hours.day_starts_at",
    "firm.percent_of",
    "firm.daily_loss_basis",
    "firm.initial_balance",
}


def with_value(key: str, value: Any) -> dict[str, Any]:
    section, _, name = key.rpartition(".")
    return DUMP | ({section: DUMP[section] | {name: value}} if section else {name: value})


def leaves(section: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= leaves(kind, f"{prefix}{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


def test_each_key_has_a_direction() -> None:
    assert leaves(ExecutorSettings) == DIRECTIONS.keys()


def test_each_key_is_tried_here() -> None:
    assert LOOSENINGS.keys() | HARMLESS.keys() == DIRECTIONS.keys()


@pytest.mark.parametrize("key", LOOSENINGS)
def test_a_change_that_allows_more_is_reported(key: str) -> None:
    old, new = LOOSENINGS[key]

    assert loosened(with_value(key, old), with_value(key, new)) == [Change(key=key, old=old, new=new)]


@pytest.mark.parametrize("key", sorted(LOOSENINGS.keys() - BOTH_WAYS))
def test_the_change_back_is_a_difference_that_allows_no_more(key: str) -> None:
    old, new = LOOSENINGS[key]
    back = with_value(key, new), with_value(key, old)

    assert differences(*back) == [Change(key=key, old=new, new=old)]
    assert loosened(*back) == []


@pytest.mark.parametrize("key", sorted(BOTH_WAYS))
def test_values_without_an_order_count_as_looser_both_ways(key: str) -> None:
    old, new = LOOSENINGS[key]

    assert [change.key for change in loosened(with_value(key, new), with_value(key, old))] == [key]


@pytest.mark.parametrize("key", HARMLESS)
def test_a_change_of_a_key_that_limits_nothing_is_only_a_difference(key: str) -> None:
    old, new = HARMLESS[key]

    assert differences(with_value(key, old), with_value(key, new)) == [Change(key=key, old=old, new=new)]
    assert loosened(with_value(key, old), with_value(key, new)) == []


@given(st.sampled_from(sorted(LOOSENINGS.keys() | HARMLESS.keys())))
def test_equal_settings_differ_in_nothing(key: str) -> None:
    value = (LOOSENINGS | HARMLESS)[key][1]

    assert differences(with_value(key, value), with_value(key, value)) == []


def test_a_smaller_target_of_volatility_only_shrinks_entries() -> None:
    key = "size.volatility_target_percent"

    assert loosened(with_value(key, "2"), with_value(key, "1.5")) == []
    assert len(loosened(with_value(key, "2"), with_value(key, None))) == 1


def test_a_group_under_another_name_or_in_a_larger_one_still_counts_together() -> None:
    old = with_value("groups", {"tech": ["AAPL", "MSFT"]})

    assert loosened(old, with_value("groups", {"wide": ["MSFT", "AAPL", "SPY"]})) == []
    assert len(loosened(old, with_value("groups", {"one": ["AAPL"], "two": ["MSFT"]}))) == 1


def test_changes_are_in_the_order_of_the_settings() -> None:
    old = with_value("limits.open_positions", 9)
    new = with_value("route.minimum_confidence", "60") | {"mode": "live"}

    assert [change.key for change in loosened(old, new)] == [
        "mode",
        "route.minimum_confidence",
        "limits.open_positions",
    ]


def test_settings_of_an_older_release_have_the_defaults_for_what_they_lack() -> None:
    old = {key: value for key, value in DUMP.items() if key not in {"firm", "groups", "pack"}}
    old["limits"] = {key: value for key, value in DUMP["limits"].items() if key != "next_day"}

    assert differences(old, DUMP) == []
    assert [change.key for change in loosened(old, with_value("limits.next_day", "resume"))] == ["limits.next_day"]


def test_a_change_of_an_unknown_key_counts_as_looser() -> None:
    assert loosened(DUMP | {"curfew": "22:00"}, DUMP) == [Change(key="curfew", old="22:00", new=None)]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change(key="limits.open_positions", old=9, new=None), "limits.open_positions: 9 -> -"),
        (Change(key="route.symbols", old=["SPY", "QQQ"], new=None), "route.symbols: SPY, QQQ -> -"),
        (Change(key="order.allow_short", old=False, new=True), "order.allow_short: false -> true"),
        (Change(key="groups", old={"tech": ["AAPL"]}, new={}), "groups: tech = AAPL -> -"),
    ],
)
def test_a_change_reads_as_one_line(change: Change, text: str) -> None:
    assert str(change) == text
