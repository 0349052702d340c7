from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.errors import BudgetUsedUp
from workers.brokers.rate_budget import Purpose, ceiling
from workers.keeper.poll_interval import NO_STREAM, PollInterval, StreamReading, gap_s

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
OPEN = StreamReading(alive=True, poll_requested_at=NOON)


@pytest.mark.parametrize(
    ("left", "seconds"), [(None, 0), (170, 0), (30, 0), (29, 60 / 29), (10, 6), (4, 15), (1, 15), (0, 15)]
)
def test_the_requests_that_are_left_are_spread_over_the_minute(left: int | None, seconds: float) -> None:
    assert gap_s(left) == seconds


def test_polls_slow_down_when_the_account_runs_short(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("workers.keeper.poll_interval.time.monotonic", lambda: now[0])
    pace = PollInterval()
    pace.polled(left=100)
    assert pace.is_due()

    pace.polled(left=10)

    assert not pace.is_due()
    now[0] += 6
    assert pace.is_due()


@pytest.mark.parametrize(("wait_s", "seconds"), [(3, 3), (60, 15)])
def test_a_poll_that_had_no_room_comes_again_when_there_is_some(
    monkeypatch: pytest.MonkeyPatch, wait_s: float, seconds: float
) -> None:
    now = [1000.0]
    monkeypatch.setattr("workers.keeper.poll_interval.time.monotonic", lambda: now[0])
    pace = PollInterval()

    pace.refused(BudgetUsedUp(wait_s=wait_s))

    now[0] += seconds - 0.1
    assert not pace.is_due()
    now[0] += 0.1
    assert pace.is_due()


def test_the_whole_list_is_due_at_first_and_then_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("workers.keeper.poll_interval.time.monotonic", lambda: now[0])
    pace = PollInterval()

    assert [pace.sweep_is_due(), pace.sweep_is_due()] == [True, False]
    now[0] += 30
    assert pace.sweep_is_due()


@pytest.mark.parametrize(
    ("per_minute", "ceilings"),
    [(200, [150, 170, 184, 192, 199, 200]), (10, [7, 8, 9, 9, 9, 10]), (None, [None] * 6)],
)
def test_each_purpose_has_a_ceiling_of_its_own(per_minute: int | None, ceilings: list[int | None]) -> None:
    assert [ceiling(per_minute, purpose) for purpose in Purpose] == ceilings


def test_while_the_stream_is_open_polls_are_fifteen_seconds_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("workers.keeper.poll_interval.time.monotonic", lambda: now[0])
    pace = PollInterval()
    assert pace.is_due(OPEN)
    pace.polled(left=100, stream=OPEN)

    assert not pace.is_due(OPEN)
    assert pace.is_due(replace(OPEN, alive=False))
    assert pace.is_due(NO_STREAM)
    now[0] += 14.9
    assert not pace.is_due(OPEN)
    now[0] += 0.1
    assert pace.is_due(OPEN)


def test_a_request_makes_a_poll_due_once_but_never_beyond_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("workers.keeper.poll_interval.time.monotonic", lambda: now[0])
    pace, again = PollInterval(), replace(OPEN, poll_requested_at=NOON + timedelta(seconds=1))
    pace.polled(left=100, stream=OPEN)
    assert pace.is_due(again)

    pace.polled(left=10, stream=again)

    assert not pace.is_due(again)
    now[0] += 5.9
    assert not pace.is_due(replace(OPEN, poll_requested_at=NOON + timedelta(seconds=2)))
    now[0] += 0.1
    assert pace.is_due(replace(OPEN, poll_requested_at=NOON + timedelta(seconds=2)))
