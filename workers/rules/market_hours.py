"""Compute when a market is open, by the broker's clock and calendar, and for how much of a period it was open. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.model.account import ClockReading, MarketSession

#: An order takes up to this long to arrive, so the market counts as closed this much before the close.
CLOSING_MARGIN = timedelta(seconds=1)
# The broker's clock and calendar may differ by this much at an opening or a close, and still mean the same session.
_TOLERANCE = timedelta(minutes=1)
_NOTHING = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Market:
    """The market's hours at one moment."""

    is_open: bool
    #: The broker's time.
    now: datetime
    next_open: datetime
    next_close: datetime
    #: Regular sessions from a week back to two weeks ahead, in order; empty when the calendar was never read.
    sessions: tuple[MarketSession, ...] = ()

    @property
    def by_calendar(self) -> bool:
        """Return whether the calendar agrees with the clock. It does not for a market that is always open."""
        if self.is_open:
            return any(each.opens - _TOLERANCE <= self.now < each.closes + _TOLERANCE for each in self.sessions)
        inside = (each.opens + _TOLERANCE <= self.now < each.closes - _TOLERANCE for each in self.sessions)
        return bool(self.sessions) and not any(inside)


def by_clock(reading: ClockReading, now: datetime, sessions: tuple[MarketSession, ...]) -> Market | None:
    """Carry a reading of the clock forward to *now*; None after an announced opening that no reading confirms."""
    clock, at = reading.clock, reading.at(now)
    if not clock.is_open and at >= clock.next_open:
        return None
    is_open = clock.is_open and at + CLOSING_MARGIN < clock.next_close
    return Market(is_open=is_open, now=at, next_open=clock.next_open, next_close=clock.next_close, sessions=sessions)


def by_calendar(reading: ClockReading | None, now: datetime, sessions: tuple[MarketSession, ...]) -> Market | None:
    """Return the hours at *now* by the calendar; None if it has too few sessions, or the last clock contradicts it.

    These hours are exact enough to compute ages while the clock cannot be read, but not to send orders.
    """
    if not sessions or not (reading is None or _at_reading(reading, sessions).by_calendar):
        return None
    at = now if reading is None else reading.at(now)
    opens, closes = (each.opens for each in sessions), (each.closes for each in sessions)
    next_open = next((each for each in opens if each > at), None)
    next_close = next((each for each in closes if each > at), None)
    if next_open is None or next_close is None:
        return None
    is_open = next_close < next_open
    return Market(is_open=is_open, now=at, next_open=next_open, next_close=next_close, sessions=sessions)


def open_age(since: datetime, now: datetime, market: Market | None) -> timedelta:
    """Return how much of the time from *since* to *now* the market was open; all of it when the hours are unknown.

    *since* and *now* are times by the record's clock; *market* is that of *now*.
    """
    age = now - since
    if market is None or not market.by_calendar or age <= _NOTHING:
        return age
    begin = market.now - age
    # Time before the first known session counts as open.
    unknown = min(market.sessions[0].opens, market.now) - begin
    return max(unknown, _NOTHING) + _open_time(market.sessions, begin, market.now)


def _open_time(sessions: Sequence[MarketSession], begin: datetime, end: datetime) -> timedelta:
    parts = (min(each.closes, end) - max(each.opens, begin) for each in sessions)
    return sum((part for part in parts if part > _NOTHING), _NOTHING)


def _at_reading(reading: ClockReading, sessions: tuple[MarketSession, ...]) -> Market:
    clock = reading.clock
    return Market(
        is_open=clock.is_open,
        now=clock.timestamp,
        next_open=clock.next_open,
        next_close=clock.next_close,
        sessions=sessions,
    )
