"""The clock of the paper exchange follows New York's calendar, also over changes of daylight-saving time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workers.exchange.clock import ClockMode, SessionClock, TradingSession
from workers.exchange.trading_days import session_changes

NOW = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)


def fixed(shown: str) -> SessionClock:
    clock = SessionClock(ClockMode.FIXED)
    clock.set(ClockMode.FIXED, NOW, shown=datetime.fromisoformat(shown))
    return clock


REGULAR, EXTENDED, CLOSED = TradingSession


@pytest.mark.parametrize(
    ("shown", "session", "next_open", "next_close"),
    [
        ("2026-11-27T12:59:59-05:00", REGULAR, "2026-11-30T09:30:00-05:00", "2026-11-27T13:00:00-05:00"),
        (
            "2026-11-27T09:00:00-05:00",
            EXTENDED,
            "2026-11-27T09:30:00-05:00",
            "2026-11-27T13:00:00-05:00",
        ),
        (
            "2026-11-27T13:00:00-05:00",
            EXTENDED,
            "2026-11-30T09:30:00-05:00",
            "2026-11-30T16:00:00-05:00",
        ),
        ("2026-11-26T12:00:00-05:00", CLOSED, "2026-11-27T09:30:00-05:00", "2026-11-27T13:00:00-05:00"),
        (
            "2026-03-06T17:00:00-05:00",
            EXTENDED,
            "2026-03-09T09:30:00-04:00",
            "2026-03-09T16:00:00-04:00",
        ),
        ("2026-10-31T12:00:00-04:00", CLOSED, "2026-11-02T09:30:00-05:00", "2026-11-02T16:00:00-05:00"),
    ],
    ids=["half day", "before a half day", "after a half day", "holiday", "before spring", "before autumn"],
)
def test_the_clock_has_the_session_and_the_next_open_and_close(
    shown: str, session: TradingSession, next_open: str, next_close: str
) -> None:
    shown_clock = fixed(shown).to_json(NOW)

    assert fixed(shown).session(NOW) is session
    assert shown_clock["is_open"] is (session is REGULAR)
    assert (shown_clock["next_open"], shown_clock["next_close"]) == (next_open, next_close)


def test_a_day_order_ends_at_the_close_also_after_a_daylight_saving_night() -> None:
    # From Friday 21:00 to the close on Monday at 16:00 it is 66 hours, because the clock is put forward in between.
    clock = fixed("2026-03-06T21:00:00-05:00")

    assert clock.day_ends(NOW) - NOW == timedelta(days=2, hours=18)


def test_session_changes_are_in_order_of_time() -> None:
    after, until = datetime.fromisoformat("2026-11-25T10:00-05:00"), datetime.fromisoformat("2026-11-30T09:30-05:00")

    assert [moment.isoformat() for moment in session_changes(after, until)] == [
        "2026-11-25T16:00:00-05:00",
        "2026-11-25T20:00:00-05:00",
        "2026-11-27T04:00:00-05:00",
        "2026-11-27T09:30:00-05:00",
        "2026-11-27T13:00:00-05:00",
        "2026-11-27T17:00:00-05:00",
        "2026-11-30T04:00:00-05:00",
        "2026-11-30T09:30:00-05:00",
    ]


def test_an_empty_or_reversed_interval_has_no_session_changes() -> None:
    at = datetime.fromisoformat("2026-11-25T09:30-05:00")

    assert list(session_changes(at, at)) == []
    assert list(session_changes(at, at - timedelta(days=3))) == []
