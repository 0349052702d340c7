"""The bars of each cursor."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from pipeline.intake.sources.bars import Bar, BarDay, Bars
from workers.exchange.tape import Tape


def tape(*, warm_up: int, played: int) -> Tape:
    days = []
    for number in range(warm_up + played):
        price = Decimal(100 + number)
        bar = Bar(symbol="AAPL", open=price, high=price, low=price, close=price, volume=1)
        days.append(BarDay(date=date(2005, 1, 1 + number), bars=(bar,)))
    return Tape(Bars(days=tuple(days), first_played=warm_up))


@pytest.mark.parametrize(("cursor", "lap", "close"), [(1, 1, 102), (3, 1, 104), (4, 2, 102), (6, 2, 104), (7, 3, 102)])
def test_the_bars_repeat_and_the_cursor_continues(cursor: int, lap: int, close: int) -> None:
    played = tape(warm_up=2, played=3)

    assert (played.lap(cursor), played.closes(cursor)) == (lap, {"AAPL": Decimal(close)})


def test_history_stays_within_its_lap_and_reaches_into_the_warm_up() -> None:
    found = tape(warm_up=2, played=3).history(4, 2)

    assert [(cycle["cursor"], cycle["lap"], cycle["date"]) for cycle in found] == [
        (0, 2, "2005-01-02"), (4, 2, "2005-01-03"),
    ]  # fmt: skip


def test_history_is_shorter_when_there_are_fewer_days() -> None:
    assert len(tape(warm_up=2, played=3).history(2, 50)) == 4


def test_a_reader_that_is_far_behind_gets_the_newest_hundred() -> None:
    found = tape(warm_up=0, played=10).after(0, 250)

    assert [found[0]["cursor"], found[-1]["cursor"], len(found)] == [151, 250, 100]


def test_a_reader_that_is_up_to_date_gets_nothing() -> None:
    assert tape(warm_up=0, played=10).after(7, 7) == []
