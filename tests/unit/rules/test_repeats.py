from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.rule_cases import case, signal, tuned
from workers.rules.case import Recent
from workers.rules.repeats import refusal

EARLIER = UUID(int=7)


def repeated(age_s: float) -> Recent:
    return Recent(repeat_of=EARLIER, repeat_age=timedelta(seconds=age_s))


@pytest.mark.parametrize(("repeat_by", "code"), [("idea", "repeated_idea"), ("content", "repeated_content")])
def test_what_was_ordered_within_the_window_is_not_ordered_again(repeat_by: str, code: str) -> None:
    settings = tuned(limits={"repeat_window_s": 60, "repeat_by": repeat_by})

    reason = refusal(case(signal(), settings=settings, recent=repeated(12.34)))

    assert reason is not None
    assert (reason.code, reason.facts) == (code, {"age_s": 12.3, "window_s": 60.0, "of": str(EARLIER)})


@pytest.mark.parametrize(("window_s", "age_s"), [("off", 1), (60, 60.1)])
def test_what_is_longer_ago_or_not_asked_for_is_no_repeat(window_s: float | str, age_s: float) -> None:
    settings = tuned(limits={"repeat_window_s": window_s})

    assert refusal(case(signal(), settings=settings, recent=repeated(age_s))) is None


def test_the_first_of_its_kind_is_no_repeat() -> None:
    assert refusal(case(signal(), settings=tuned(limits={"repeat_window_s": 60}))) is None


def test_an_order_of_our_own_is_no_repeat() -> None:
    settings = tuned(limits={"repeat_window_s": 60})

    assert refusal(case(signal(source="tradewire:flip"), settings=settings, recent=repeated(1))) is None
    assert refusal(case(signal(source="tradewires"), settings=settings, recent=repeated(1))) is not None
