"""The pauses between tries grow and stay below their limit."""

from __future__ import annotations

from pipeline.model.backoff import Backoff


def test_the_pause_doubles_up_to_its_limit() -> None:
    backoff = Backoff(first_s=0.5, longest_s=3.0)

    assert [backoff.after(failures) for failures in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_pause_stays_at_its_limit_after_any_number_of_failures() -> None:
    assert Backoff(first_s=0.05, longest_s=2.0).after(1_000_000) == 2.0
