from __future__ import annotations

from itertools import accumulate

from pipeline.entrypoints.supervisor.backoff import Streak


def test_the_pause_doubles_with_each_death_up_to_five_seconds() -> None:
    streaks = accumulate(range(7), lambda streak, _: streak.after_death(lived_s=0), initial=Streak())

    assert [streak.pause_s for streak in list(streaks)[1:]] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_child_that_lived_ten_seconds_begins_a_new_streak() -> None:
    streak = Streak(deaths=6)

    assert streak.after_death(lived_s=9.9) == Streak(deaths=7)
    assert streak.after_death(lived_s=10) == Streak(deaths=1)


def test_dying_for_years_keeps_the_pause_at_its_limit() -> None:
    assert Streak(deaths=100_000).pause_s == 5.0


def test_only_a_child_that_died_is_sick() -> None:
    assert [Streak().sick, Streak().after_death(lived_s=0).sick] == [False, True]
