"""Compute the days and hours on which the New York Stock Exchange trades, by rule."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
#: The years that the broker's calendar covers.
FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2029, 12, 31)
_SATURDAY, _SUNDAY = 5, 6
_JUNETEENTH_SINCE = 2022
_DAY = timedelta(days=1)
#: From this day on, settlement takes one day instead of two.
_T_PLUS_1 = date(2024, 5, 28)


@dataclass(frozen=True, kw_only=True)
class TradingDay:
    """One day's regular session, in New York time."""

    date: date
    close_time: time

    @property
    def opens(self) -> datetime:
        """Return when the regular session begins."""
        return datetime.combine(self.date, time(9, 30), NEW_YORK)

    @property
    def closes(self) -> datetime:
        """Return when the regular session ends: 16:00, or 13:00 on a half day."""
        return datetime.combine(self.date, self.close_time, NEW_YORK)

    @property
    def extended(self) -> tuple[datetime, datetime]:
        """Return when the extended session begins and ends."""
        end = time(20) if self.close_time == time(16) else time(17)
        return datetime.combine(self.date, time(4), NEW_YORK), datetime.combine(self.date, end, NEW_YORK)


@cache
def trading_day(day: date) -> TradingDay | None:
    """Return *day*'s session; None if the New York Stock Exchange is closed on that day."""
    if day.weekday() >= _SATURDAY or day in _holidays(day.year):
        return None
    return TradingDay(date=day, close_time=time(13) if day in _half_days(day.year) else time(16))


def trading_day_after(day: date) -> TradingDay:
    """Return the first session on a later date than *day*."""
    while True:
        day += _DAY
        session = trading_day(day)
        if session is not None:
            return session


def next_opening(shown: datetime) -> datetime:
    """Return when the next regular session begins; *shown* is the current time in New York."""
    today = trading_day(shown.date())
    return today.opens if today is not None and shown < today.opens else trading_day_after(shown.date()).opens


def next_closing(shown: datetime) -> datetime:
    """Return when the current or the next regular session ends; *shown* is the current time in New York."""
    today = trading_day(shown.date())
    return today.closes if today is not None and shown < today.closes else trading_day_after(shown.date()).closes


def session_changes(after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the times in New York at which a session begins or ends: later than *after*, and not later than *until*."""
    after, until = after.astimezone(NEW_YORK), until.astimezone(NEW_YORK)
    day = after.date()
    while day <= until.date():
        session = trading_day(day)
        if session is not None:
            begins, ends = session.extended
            yield from (each for each in (begins, session.opens, session.closes, ends) if after < each <= until)
        day += _DAY


def settlement_day(session: TradingDay) -> date:
    """Return the day on which the trades of *session* settle."""
    settled = trading_day_after(session.date).date
    return settled if session.date >= _T_PLUS_1 else trading_day_after(settled).date


def calendar_day(session: TradingDay) -> dict[str, str]:
    """Return *session* as `/v2/calendar` writes it."""
    opens, closes = session.extended
    return {
        "date": session.date.isoformat(),
        "open": "09:30",
        "close": session.close_time.strftime("%H:%M"),
        "session_open": opens.strftime("%H%M"),
        "session_close": closes.strftime("%H%M"),
        "settlement_date": settlement_day(session).isoformat(),
    }


@cache
def _holidays(year: int) -> frozenset[date]:
    days = {
        _nth(year, 1, weekday=0, n=3),
        _nth(year, 2, weekday=0, n=3),
        _easter(year) - timedelta(days=2),
        _nth(year, 6, weekday=0, n=1) - timedelta(days=7),
        _observed(date(year, 7, 4)),
        _nth(year, 9, weekday=0, n=1),
        _nth(year, 11, weekday=3, n=4),
        _observed(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    # If New Year's Day is a Saturday, the Friday before is a trading day: it is the last one of the old year.
    if new_year.weekday() != _SATURDAY:
        days.add(_observed(new_year))
    if year >= _JUNETEENTH_SINCE:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days)


@cache
def _half_days(year: int) -> frozenset[date]:
    days = {_nth(year, 11, weekday=3, n=4) + _DAY, date(year, 12, 24), date(year, 7, 3)}
    return frozenset(days - _holidays(year))


def _observed(day: date) -> date:
    if day.weekday() == _SATURDAY:
        return day - _DAY
    return day + _DAY if day.weekday() == _SUNDAY else day


def _nth(year: int, month: int, *, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _easter(year: int) -> date:
    """Return Easter Sunday by the anonymous Gregorian algorithm."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    ell = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * ell) // 451
    month, day = divmod(h + ell - 7 * m + 114, 31)
    return date(year, month, day + 1)
