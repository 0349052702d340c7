from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from config.schema.executor import ExecutorSettings
from config.schema.firm import Firm
from pipeline.accounts.losses import EquityBaseline, LimitStep, LossLimit, Use, limit_step, uses
from pipeline.model.reasons import Code, Reason
from tests.rule_cases import STANDING, executor


def limited(*, daily: Any = None, drawdown: Any = None, firm: Firm | None = None) -> ExecutorSettings:
    limits = executor().limits.model_copy(
        update={
            "daily_loss_percent": None if daily is None else Decimal(daily),
            "drawdown_percent": None if drawdown is None else Decimal(drawdown),
        }
    )
    return executor().model_copy(update={"limits": limits, "firm": firm or Firm()})


def at(equity: Any, **changes: Any) -> EquityBaseline:
    return replace(STANDING, equity=Decimal(equity), **{name: Decimal(value) for name, value in changes.items()})


def only(settings: ExecutorSettings, baseline: EquityBaseline) -> Use:
    (use,) = uses(settings, baseline)
    return use


def test_a_limit_that_is_off_has_no_use() -> None:
    assert uses(limited(), at(1)) == ()


def test_the_days_loss_is_counted_from_the_equity_that_the_day_began_with() -> None:
    use = only(limited(daily=5), at(96_000, peak_equity=200_000))

    assert (use.limit, use.lost, use.allowed, use.percent, use.left) == (LossLimit.DAILY_LOSS, 4000, 5000, 80, 1000)


def test_a_firm_may_count_from_the_days_balance_and_in_percent_of_the_first_one() -> None:
    firm = Firm(percent_of="initial_balance", daily_loss_basis="balance", initial_balance=Decimal(200_000))
    settings = limited(daily=5, firm=firm)

    use = only(settings, at(96_000, day_start_balance=103_000))

    assert (use.lost, use.allowed, use.reference, use.counted_from) == (7000, 10_000, 103_000, "day_start_balance")


def test_a_trailing_drawdown_is_counted_from_the_peak() -> None:
    use = only(limited(drawdown=10), at(99_000, peak_equity=120_000))

    assert (use.lost, use.allowed, use.percent) == (21_000, 12_000, 175)
    assert use.left == 0


def test_a_static_drawdown_is_counted_from_the_first_balance_for_ever() -> None:
    settings = limited(drawdown=10, firm=Firm(drawdown="static", initial_balance=Decimal(100_000)))

    gained = only(settings, at(130_000, peak_equity=140_000))
    fallen = only(settings, at(91_000, peak_equity=140_000))

    assert (gained.lost, gained.percent, gained.left) == (-30_000, 0, 40_000)
    assert (fallen.lost, fallen.allowed, fallen.percent) == (9000, 10_000, 90)


@pytest.mark.parametrize(
    ("equity", "expected"),
    [
        ("100000", LimitStep.NONE),
        ("101000", LimitStep.NONE),
        ("96500.01", LimitStep.NONE),
        ("96500", LimitStep.WARN),
        ("95500.01", LimitStep.WARN),
        ("95500", LimitStep.REDUCE),
        ("95000.01", LimitStep.REDUCE),
        ("95000", LimitStep.HALT),
        ("1", LimitStep.HALT),
    ],
)
def test_the_rungs_are_reached_to_the_cent(equity: str, expected: LimitStep) -> None:
    assert limit_step(only(limited(daily=5), at(equity))) is expected


def test_an_account_with_an_equity_of_zero_is_on_no_rung_and_below_zero_halts() -> None:
    empty = at(0, day_start_equity=0, peak_equity=0)

    assert limit_step(only(limited(daily=5), empty)) is LimitStep.NONE
    assert only(limited(daily=5), empty).left == 0
    assert limit_step(only(limited(daily=5), replace(empty, equity=Decimal(-1)))) is LimitStep.HALT


def test_the_facts_name_the_figures_and_what_they_are_counted_from() -> None:
    reason = Reason(code=Code.HALTED_DAILY_LOSS, facts=only(limited(daily=5), at("95499.995")).facts())

    assert str(reason) == "halted_daily_loss lost=4500.00 allowed=5000.00 percent=90.0 day_start_equity=100000.00"
