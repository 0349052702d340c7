"""The time of each regular expression of the product grows no faster than the length of the text."""

import re
import time
from typing import Any

import pytest

from tests.tools.patterns import UsedPattern, slow_texts, used_patterns

_LONGEST = 300_000
#: The shortest time that can be measured well enough to compare it.
_COMPARABLE_S = 0.003
_SLOWEST = 2
_TRIES = 5
# For four times the text, a linear pattern takes four times as long, and a quadratic one sixteen times.
_MOST_GROWTH = 8.0


def _seconds(used: UsedPattern, text: tuple[Any, Any, Any], length: int) -> float:
    start, piece, end = text
    written = start + piece * (length // len(piece)) + end
    began = time.process_time()
    used.run(written)
    return time.process_time() - began


def _slowest(used: UsedPattern) -> list[tuple[Any, Any, Any]]:
    """Return the texts that take the longest. A pattern with exponential time is found while the text is short."""
    took: list[tuple[float, tuple[Any, Any, Any]]] = []
    for text in slow_texts(used):
        if _explodes(used, text):
            return [text]
        took.append((_seconds(used, text, 800), text))
    return [text for _, text in sorted(took, key=lambda each: each[0], reverse=True)[:_SLOWEST]]


def _explodes(used: UsedPattern, text: tuple[Any, Any, Any]) -> bool:
    return any(_seconds(used, text, length) > 0.05 for length in (40, 60, 80))


def _growth(used: UsedPattern, text: tuple[Any, Any, Any]) -> float:
    """Return the factor by which the time grows when the text is four times as long.

    The least of several tries counts, because other programs slow some of them down.
    """
    if _explodes(used, text):
        return float("inf")
    length = 80
    while length < _LONGEST and _seconds(used, text, length) < _COMPARABLE_S:
        length *= 2
    if length >= _LONGEST:
        return 1.0
    least = float("inf")
    for _ in range(_TRIES):
        single, fourfold = (min(_seconds(used, text, size) for _ in range(3)) for size in (length, 4 * length))
        least = min(least, fourfold / max(single, 1e-6))
        if least < _MOST_GROWTH:
            break
    return least


@pytest.mark.parametrize("used", used_patterns(), ids=lambda used: f"{used.where}-{used.method}")
def test_four_times_the_text_never_takes_eight_times_as_long(used: UsedPattern) -> None:
    grown = {str(text): _growth(used, text) for text in _slowest(used)}

    assert {text: growth for text, growth in grown.items() if growth >= _MOST_GROWTH} == {}


def test_the_measure_finds_a_pattern_whose_time_is_quadratic_or_worse() -> None:
    for pattern in (r"\d+x", r"(?:a+=b?)+c"):
        used = UsedPattern(where="here", pattern=re.compile(pattern), method="search")
        assert max(_growth(used, text) for text in _slowest(used)) >= _MOST_GROWTH, pattern
