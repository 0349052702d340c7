"""A name has its requests of the minute, and only so many names are remembered."""

from __future__ import annotations

import pytest

from pipeline.operations.request_rates import RequestRates


def test_a_name_has_its_requests_at_once_and_then_one_by_one() -> None:
    now = 0.0
    rates = RequestRates(60, clock=lambda: now)

    assert [rates.count("one") for _ in range(61)] == [None] * 60 + [1.0]
    assert rates.count("another") is None
    now = 0.75
    assert rates.count("one") == pytest.approx(0.25)
    now = 1.0
    assert (rates.count("one"), rates.count("one")) == (None, 1.0)
    now = 1000.0
    assert [rates.count("one") for _ in range(61)] == [None] * 60 + [1.0]


@pytest.mark.parametrize(("others", "forgotten"), [(4999, False), (5000, True)])
def test_the_name_that_was_used_longest_ago_is_forgotten(others: int, *, forgotten: bool) -> None:
    rates = RequestRates(1, clock=lambda: 0.0)
    rates.count("one")
    for number in range(others):
        rates.count(f"another {number}")

    assert (rates.count("one") is None) is forgotten
