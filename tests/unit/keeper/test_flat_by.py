from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.account import MarketSession
from workers.keeper.flat_by_close import closing_time
from workers.rules.market_hours import Market

CLOSES = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)  # the half day after Thanksgiving
OPENS = CLOSES - timedelta(hours=3, minutes=30)
HALF_DAY = (MarketSession(date=CLOSES.date(), opens=OPENS, closes=CLOSES),)


def market(now: datetime, *, is_open: bool = True, sessions: tuple[MarketSession, ...] = HALF_DAY) -> Market:
    return Market(is_open=is_open, now=now, next_open=OPENS + timedelta(days=3), next_close=CLOSES, sessions=sessions)


@pytest.mark.parametrize(
    ("minutes", "expected"), [(11, None), (10, "2026-11-27T18:00Z"), (1, "2026-11-27T18:00Z"), (180, None)]
)
def test_the_calendars_close_counts_on_half_days_too(minutes: int, expected: str | None) -> None:
    assert closing_time(market(CLOSES - timedelta(minutes=minutes)), before_s=600) == expected


def test_nothing_is_closed_while_the_market_is_closed_or_unknown() -> None:
    just_before = CLOSES - timedelta(minutes=5)

    assert closing_time(None, before_s=600) is None
    assert closing_time(market(just_before, is_open=False), before_s=600) is None


def test_a_market_that_is_always_open_has_no_close() -> None:
    tomorrow = MarketSession(
        date=CLOSES.date() + timedelta(days=1), opens=OPENS + timedelta(days=1), closes=CLOSES + timedelta(days=1)
    )

    night = market(CLOSES + timedelta(hours=5), sessions=(*HALF_DAY, tomorrow))

    assert closing_time(night, before_s=86_400) is None


def test_without_a_calendar_the_clocks_close_counts() -> None:
    before = MarketSession(date=CLOSES.date(), opens=OPENS - timedelta(days=20), closes=CLOSES - timedelta(days=20))
    just_before = CLOSES - timedelta(minutes=5)

    assert closing_time(market(just_before, sessions=()), before_s=600) == "2026-11-27T18:00Z"
    assert closing_time(market(just_before, sessions=(before,)), before_s=600) == "2026-11-27T18:00Z"
