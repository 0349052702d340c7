from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.account import Transfer
from pipeline.model.trading_day import Day
from tests.rule_cases import case, position, signal
from workers.rules.baselines import (
    DayStart,
    EquityReading,
    Origin,
    TransferEffect,
    count,
    first_start,
    next_start,
    reading_of,
)

START = datetime(2026, 1, 14, 5, 0, tzinfo=UTC)
DAY = Day(date=date(2026, 1, 14), started_at=START)
CLOSED_AT = START - timedelta(hours=24)


def reading(equity: Any, balance: Any = None, **later: float) -> EquityReading:
    worth = Decimal(equity)
    return EquityReading(
        at=START + timedelta(**later), equity=worth, balance=worth if balance is None else Decimal(balance)
    )


def started(before: EquityReading, now: EquityReading, last_equity: Any = 77) -> DayStart:
    return next_start(DAY, before, now, last_equity=Decimal(last_equity), closed_at=CLOSED_AT)


def transfer(name: str, amount: Any, **later: float) -> Transfer:
    return Transfer(transfer_id=name, at=START + timedelta(**later), amount=Decimal(amount))


def test_the_balance_is_equity_without_what_open_positions_have_made() -> None:
    account = case(signal()).account

    # Ten shares were bought at 90 and now trade at 110.
    assert reading_of(account, [position(10)], START) == reading(100_000, 99_800)


def test_the_first_day_begins_with_the_brokers_figure_and_never_with_now() -> None:
    start = first_start(DAY, reading(90, 85, hours=9), last_equity=Decimal(100), closed_at=CLOSED_AT)

    assert (start.equity, start.balance, start.origin, start.as_of) == (100, 100, Origin.BROKER, CLOSED_AT)


def test_a_first_day_with_open_losses_does_not_begin_with_a_balance_below_todays() -> None:
    start = first_start(DAY, reading(100, 108, hours=9), last_equity=Decimal(100), closed_at=CLOSED_AT)

    assert start.balance == 108


def test_a_day_that_is_watched_begins_with_the_first_reading_in_it() -> None:
    start = started(reading(100, seconds=-4), reading(103, 101, seconds=1))

    assert (start.equity, start.balance, start.origin) == (103, 101, Origin.WATCHED)
    assert start.as_of == START + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        # The account was read until the start of the day and not for hours after it, so the last reading counts.
        (reading(100, minutes=-1), reading(90, hours=8), 100),
        (reading(100, minutes=-1), reading(110, hours=8), 100),
        (reading(100, hours=-3), reading(90, hours=8), 100),
        # The account was read soon after the start and not for hours before, so a loss in between still counts.
        (reading(100, hours=-5), reading(95, minutes=1), 100),
        (reading(100, hours=-5), reading(105, minutes=1), 105),
        # The account was not read for days.
        (reading(100, hours=-30), reading(95, minutes=1), 77),
    ],
)
def test_a_loss_over_an_unwatched_start_of_the_day_counts(
    before: EquityReading, now: EquityReading, expected: int
) -> None:
    assert started(before, now).equity == expected


@settings(max_examples=100, deadline=None)
@given(
    gap_s=st.integers(1, 26 * 3600),
    late_s=st.integers(0, 24 * 3600),
    before=st.integers(1, 10**6),
    now=st.integers(1, 10**6),
)
def test_a_start_is_below_the_last_figure_only_when_both_sides_were_watched(
    gap_s: int, late_s: int, before: int, now: int
) -> None:
    start = started(reading(before, seconds=-gap_s), reading(now, seconds=late_s))

    watched = gap_s <= 120 and late_s <= 120
    assert start.equity == now if watched else start.equity >= before


def counted(*listed: Transfer, known: tuple[str, ...] = (), as_of: float = -3600, **changes: Any) -> TransferEffect:
    whole: dict[str, Any] = {"since": START, "asked_before": True, "as_of": START + timedelta(seconds=as_of)}
    return count(listed, known=known, **whole | changes)


def test_a_transfer_moves_the_day_and_the_peak_once() -> None:
    deposit, withdrawal = transfer("a", 500, hours=1), transfer("b", -200, hours=2)

    assert counted(deposit, withdrawal) == TransferEffect(amount=Decimal(300), of_the_day=Decimal(300))
    assert counted(deposit, withdrawal, known=("a",)) == TransferEffect(amount=Decimal(-200), of_the_day=Decimal(-200))
    assert counted(deposit, withdrawal, known=("a", "b")) == TransferEffect(amount=Decimal(0), of_the_day=Decimal(0))


def test_a_transfer_that_is_listed_by_its_day_only_counts_when_it_is_listed_for_the_first_time() -> None:
    dated_before_the_last_asking = transfer("a", 500, hours=-9)

    assert counted(dated_before_the_last_asking).of_the_day == 500


def test_the_first_count_skips_transfers_that_the_brokers_figure_includes() -> None:
    old, new = transfer("a", 500, hours=-9), transfer("b", 70, hours=1)

    assert counted(old, new, asked_before=False, as_of=0) == TransferEffect(amount=Decimal(70), of_the_day=Decimal(70))


def test_a_transfer_from_before_the_days_first_reading_is_in_it_already() -> None:
    # In the first case the deposit came before the day's first reading, so it does not change the day's start.
    deposit = transfer("a", 500, seconds=30)

    assert counted(deposit, as_of=60) == TransferEffect(amount=Decimal(500), of_the_day=Decimal(0))
    assert counted(deposit, as_of=10) == TransferEffect(amount=Decimal(500), of_the_day=Decimal(500))
