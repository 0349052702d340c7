"""Compute when an account's day begins, by the wall clock of a time zone. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day of an account, named by the date on which it begins in its time zone."""

    date: date
    #: UTC.
    started_at: datetime


def trading_day(now: datetime, time_zone: str, day_starts_at: time) -> Day:
    """Return the day that *now* lies in, when each begins at *day_starts_at* in *time_zone*.

    A day has the date on which it begins: with a start at 17:00, Tuesday's day lasts until Wednesday 17:00.
    """
    zone = ZoneInfo(time_zone)
    here = now.astimezone(zone).date()
    # A clock that is put back across midnight shows yesterday's date again, although the new day has begun.
    for one in (here + timedelta(days=1), here):
        started_at = day_start(one, zone, day_starts_at)
        if started_at <= now:
            return Day(date=one, started_at=started_at)
    before = here - timedelta(days=1)
    return Day(date=before, started_at=day_start(before, zone, day_starts_at))


def day_start(on: date, zone: ZoneInfo, day_starts_at: time) -> datetime:
    """Return when the clock of *zone* first shows *day_starts_at* or later on the date *on*, in UTC.

    When clocks are put back and the time comes twice, the first one counts. When they are put forward and the time is
    skipped, the day begins at the jump.
    """
    wall = datetime.combine(on, day_starts_at)
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first
    # The clock jumps over the time somewhere between *second* and *first*. Find the second of the jump.
    below, above = second, first
    while above - below > _SECOND:
        middle = below + (above - below) // 2
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            above = middle
        else:
            below = middle
    return above.replace(microsecond=0)
