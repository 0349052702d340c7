from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.trading_day import day_start, trading_day

CHICAGO, PRAGUE, NEW_YORK = "America/Chicago", "Europe/Prague", "America/New_York"
FIVE, MIDNIGHT = time(17), time(0)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "at", "on", "started_at"),
    [
        # The day begins exactly at its hour, and not a second earlier.
        ("2026-01-13 23:00:00", CHICAGO, FIVE, date(2026, 1, 13), "2026-01-13 23:00:00"),
        ("2026-01-13 22:59:59", CHICAGO, FIVE, date(2026, 1, 12), "2026-01-12 23:00:00"),
        # After midnight, the day that began on the evening before goes on.
        ("2026-01-14 07:30:00", CHICAGO, FIVE, date(2026, 1, 13), "2026-01-13 23:00:00"),
        ("2026-07-14 22:00:00", CHICAGO, FIVE, date(2026, 7, 14), "2026-07-14 22:00:00"),
        ("2026-01-13 23:00:00", PRAGUE, MIDNIGHT, date(2026, 1, 14), "2026-01-13 23:00:00"),
        ("2026-07-13 21:59:59", PRAGUE, MIDNIGHT, date(2026, 7, 13), "2026-07-12 22:00:00"),
        ("2026-07-13 22:00:00", PRAGUE, MIDNIGHT, date(2026, 7, 14), "2026-07-13 22:00:00"),
    ],
)
def test_a_day_begins_at_its_time_and_carries_the_date_on_which_it_begins(
    now: str, zone: str, at: time, on: date, started_at: str
) -> None:
    day = trading_day(utc(now), zone, at)

    assert (day.date, day.started_at) == (on, utc(started_at))


@pytest.mark.parametrize(
    ("zone", "at", "on", "hours"),
    [
        (CHICAGO, FIVE, date(2026, 3, 7), 23),
        (CHICAGO, FIVE, date(2026, 10, 31), 25),
        (PRAGUE, MIDNIGHT, date(2026, 3, 29), 23),
        (PRAGUE, MIDNIGHT, date(2026, 10, 25), 25),
        (PRAGUE, MIDNIGHT, date(2026, 3, 28), 24),
    ],
)
def test_a_day_over_which_clocks_are_changed_has_23_or_25_hours(zone: str, at: time, on: date, hours: int) -> None:
    begin = day_start(on, ZoneInfo(zone), at)
    end = begin + timedelta(hours=hours)

    assert trading_day(end - timedelta(seconds=1), zone, at).date == on
    assert trading_day(end, zone, at).date == on + timedelta(days=1)
    assert trading_day(begin - timedelta(seconds=1), zone, at).date == on - timedelta(days=1)


def test_a_start_that_the_clock_skips_is_where_the_clock_lands() -> None:
    # On 8 March 2026, 02:30 does not exist in New York: the clock goes from 02:00 to 03:00, which is 07:00 UTC.
    assert day_start(date(2026, 3, 8), ZoneInfo(NEW_YORK), time(2, 30)) == utc("2026-03-08 07:00:00")
    assert trading_day(utc("2026-03-08 06:59:59"), NEW_YORK, time(2, 30)).date == date(2026, 3, 7)


def test_a_start_that_comes_twice_counts_the_first_time_and_only_then() -> None:
    # On 1 November 2026 01:30 comes twice in New York: 05:30 and 06:30 UTC.
    first = utc("2026-11-01 05:30:00")

    assert day_start(date(2026, 11, 1), ZoneInfo(NEW_YORK), time(1, 30)) == first
    # When the clocks go back to 01:00, the same day goes on.
    for minutes in (0, 31, 60, 90):
        assert trading_day(first + timedelta(minutes=minutes), NEW_YORK, time(1, 30)).started_at == first


def test_a_clock_put_back_over_midnight_does_not_put_the_day_back() -> None:
    # The clock goes from 01:00 back to 00:00 in Havana on 1 November 2026 and on the Azores on 25 October. The date
    # stays.
    for zone, on in (("America/Havana", date(2026, 11, 1)), ("Atlantic/Azores", date(2026, 10, 25))):
        begin = day_start(on, ZoneInfo(zone), time(0, 30))
        for minutes in range(0, 180, 10):
            assert trading_day(begin + timedelta(minutes=minutes), zone, time(0, 30)).date == on


@settings(max_examples=200, deadline=None)
@given(
    # From 2015 to 2035.
    now_s=st.integers(1_420_070_400, 2_051_222_400),
    further_s=st.integers(0, 7 * 86_400),
    zone=st.sampled_from([CHICAGO, PRAGUE, NEW_YORK, "Australia/Lord_Howe", "Atlantic/Azores", "America/Havana"]),
    at=st.times().map(lambda each: each.replace(second=0, microsecond=0)),
)
def test_days_follow_each_other_without_gap_or_overlap(now_s: int, further_s: int, zone: str, at: time) -> None:
    moment = datetime.fromtimestamp(now_s, UTC)
    day, later = trading_day(moment, zone, at), trading_day(moment + timedelta(seconds=further_s), zone, at)

    assert day.started_at <= moment < day_start(day.date + timedelta(days=1), ZoneInfo(zone), at)
    assert timedelta(hours=22) <= day_start(day.date + timedelta(days=1), ZoneInfo(zone), at) - day.started_at
    assert (later.date, later.started_at) >= (day.date, day.started_at)
    assert trading_day(day.started_at, zone, at) == day
