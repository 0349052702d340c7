"""Our calendar of the New York Stock Exchange equals the published one."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from workers.exchange.trading_days import calendar_day, trading_day, trading_day_after

_CLOSED = """
2021-01-01 2021-01-18 2021-02-15 2021-04-02 2021-05-31 2021-07-05 2021-09-06 2021-11-25 2021-12-24
2022-01-17 2022-02-21 2022-04-15 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-11-24 2022-12-26
2023-01-02 2023-01-16 2023-02-20 2023-04-07 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-11-23 2023-12-25
2024-01-01 2024-01-15 2024-02-19 2024-03-29 2024-05-27 2024-06-19 2024-07-04 2024-09-02 2024-11-28 2024-12-25
2026-01-01 2026-01-19 2026-02-16 2026-04-03 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-11-26 2026-12-25
"""
_HALF = "2021-11-26 2022-11-25 2023-07-03 2023-11-24 2024-07-03 2024-11-29 2024-12-24 2026-11-27 2026-12-24"


def weekdays(year: int) -> list[date]:
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    return [day for day in days if day.year == year and day.weekday() < 5]


@pytest.mark.parametrize("year", [2021, 2022, 2023, 2024, 2026])
def test_it_is_closed_on_its_holidays_and_on_no_other_weekday(year: int) -> None:
    closed = [day.isoformat() for day in weekdays(year) if trading_day(day) is None]

    assert closed == [day for day in _CLOSED.split() if day.startswith(str(year))]


@pytest.mark.parametrize("year", [2021, 2022, 2023, 2024, 2026])
def test_it_closes_early_on_half_days_only(year: int) -> None:
    sessions = [trading_day(day) for day in weekdays(year)]
    early = [each.date.isoformat() for each in sessions if each is not None and each.close_time == time(13)]

    assert early == [day for day in _HALF.split() if day.startswith(str(year))]


def test_a_weekend_is_skipped() -> None:
    assert trading_day(date(2026, 11, 21)) is None
    assert trading_day_after(date(2026, 11, 20)).date == date(2026, 11, 23)


def test_a_day_is_written_as_the_broker_writes_it() -> None:
    session = trading_day(date(2026, 11, 27))

    assert session is not None
    assert calendar_day(session) == {
        "date": "2026-11-27", "open": "09:30", "close": "13:00", "session_open": "0400",
        "session_close": "1700", "settlement_date": "2026-11-30",
    }  # fmt: skip
