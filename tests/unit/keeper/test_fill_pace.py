"""The list of activities is read soon after a fill, and ever more rarely for one that it does not show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workers.keeper.fill_pace import FillPace

START = datetime(2026, 7, 30, tzinfo=UTC)


def test_the_first_reading_follows_two_seconds_after_a_fill() -> None:
    pace = FillPace()

    assert not pace.is_due(1.9, now=0.0)
    assert pace.is_due(2.0, now=0.1)


def test_new_fills_are_read_at_most_every_ten_seconds() -> None:
    pace = FillPace()
    pace.read(START, now=0.0)

    assert not pace.is_due(5.0, now=9.9)
    assert pace.is_due(5.0, now=10.0)
    pace.read(START + timedelta(seconds=5), now=10.0)
    assert not pace.is_due(5.0, now=19.0)


def test_the_pauses_grow_while_the_list_shows_nothing_new() -> None:
    pace, due, now = FillPace(), [], 0.0
    for _ in range(9):
        pace.read(START, now=now)
        start = now
        while not pace.is_due(None, now=now):
            now += 1.0
        due.append(now - start)

    assert due == [10, 20, 40, 80, 160, 320, 640, 900, 900]
    # A further fill begins with short pauses again.
    pace.read(START + timedelta(hours=1), now=now)
    assert pace.is_due(None, now=now + 10)
