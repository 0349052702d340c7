"""The shipped bars are complete, in order, and adjusted for splits."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pipeline.intake.sources.bars import Bar, load_bars


def bar(day: date, symbol: str) -> Bar:
    found = next(each for each in load_bars().days if each.date == day)
    return next(each for each in found.bars if each.symbol == symbol)


def test_days_are_in_order_and_played_from_2005() -> None:
    bars = load_bars()
    dates = [day.date for day in bars.days]

    assert dates == sorted(set(dates))
    assert (dates[0], dates[bars.first_played], dates[-1]) == (
        date(2000, 3, 1), date(2005, 1, 3), date(2013, 3, 1),
    )  # fmt: skip
    assert bars.played == 2054


def test_a_split_moves_neither_price_nor_volume() -> None:
    before, after = bar(date(2005, 2, 25), "AAPL"), bar(date(2005, 2, 28), "AAPL")

    assert (before.close, after.close) == (Decimal("44.50"), Decimal("44.86"))
    assert (before.volume, after.volume) == (32_696_800, 11_635_900)


def test_two_splits_are_both_taken_out() -> None:
    assert bar(date(2000, 3, 1), "AAPL").close == Decimal("32.58")


def test_a_dividend_is_no_split() -> None:
    assert bar(date(2004, 11, 12), "MSFT").close == Decimal("29.97")


def test_no_day_moves_by_more_than_a_market_can() -> None:
    last: dict[str, Decimal] = {}
    for day in load_bars().days[load_bars().first_played :]:
        for each in day.bars:
            assert each.low <= each.open <= each.high
            assert each.low <= each.close <= each.high
            assert 0.7 < each.close / last.get(each.symbol, each.close) < 1.4
            last[each.symbol] = each.close


def test_prices_are_in_cents() -> None:
    prices = {p for day in load_bars().days for each in day.bars for p in (each.open, each.high, each.low, each.close)}

    assert {price.as_tuple().exponent for price in prices} == {-2}
