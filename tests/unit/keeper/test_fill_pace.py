"""The list of activities is read soon after a fill, and ever more rarely for one that it does not show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workers.keeper.fill_pace import FillPace

START = datetime(2026, 7, 30, tzinfo=UTC)


def reads(pace: FillPace, newest: datetime, *, everything: bool, now: float) -> None:
    """Read the list while *newest* is the newest fill that is missing."""
    pace.asks(everything=everything, now=now)
    pace.read(newest)


def until_due(pace: FillPace, now: float) -> float:
    """Return when the list is due again for what it has not shown."""
    while not pace.is_due(None, now=now):
        now += 1.0
    return now


def test_the_first_reading_follows_two_seconds_after_a_fill() -> None:
    pace = FillPace()

    assert not pace.is_due(1.9, now=0.0)
    assert pace.is_due(2.0, now=0.1)


def test_new_fills_are_read_at_most_every_ten_seconds() -> None:
    pace = FillPace()
    reads(pace, START, everything=True, now=0.0)

    assert not pace.is_due(5.0, now=9.9)
    assert pace.is_due(5.0, now=10.0)
    reads(pace, START + timedelta(seconds=5), everything=False, now=10.0)
    assert not pace.is_due(5.0, now=19.0)


def test_the_pauses_grow_while_the_list_shows_nothing_new() -> None:
    pace, due, now = FillPace(), [], 0.0
    for _ in range(9):
        reads(pace, START, everything=True, now=now)
        pace.not_shown(START)
        start, now = now, until_due(pace, now)
        due.append(now - start)

    assert due == [10, 20, 40, 80, 160, 320, 640, 900, 900]
    # Another fill that is not shown begins with short pauses again.
    reads(pace, START + timedelta(hours=1), everything=False, now=now)
    pace.not_shown(START + timedelta(hours=1))
    assert until_due(pace, now) == now + 10


def test_fills_that_are_shown_do_not_shorten_the_pauses_of_one_that_is_not() -> None:
    pace, now = FillPace(), 0.0
    reads(pace, START, everything=True, now=now)
    pace.not_shown(START)
    for _ in range(4):
        now = until_due(pace, now)
        reads(pace, START, everything=True, now=now)
    last = now
    for minute in range(2):
        now += 20
        assert pace.is_due(3.0, now=now)
        assert not pace.reads_all(now=now)
        reads(pace, START + timedelta(minutes=minute), everything=False, now=now)
        pace.not_shown(START)

    assert until_due(pace, now) == last + 160


def test_what_could_not_be_read_is_as_new_as_before_and_is_asked_for_after_growing_pauses() -> None:
    pace = FillPace()
    seen = pace.seen
    pace.asks(everything=True, now=0.0)
    pace.asks(everything=True, now=10.0)

    assert pace.seen == seen
    assert not pace.is_due(15.0, now=29.0)
    assert pace.is_due(15.0, now=30.0)
