"""Form one opinion from three indicators on a window of bars.

This is a demonstration of a source of signals. It changes its opinion every few bars, so that there is something to
see. It has not been shown to earn money, and it is not advice.

Each indicator votes from -1 (down) to 1 (up). A vote is relative to the symbol's own range (the average true range, or
the channel), so that it does not depend on how volatile the symbol is:

- *trend*: how far the close is from its 3-bar average;
- *momentum*: how far the close has moved in one bar;
- *breakout*: where the close lies in the high-low channel of the 3 bars before it.

The sign of the weighted sum is the direction, and its size the confidence: 50 % is no opinion, 100 % is three full
votes in one direction. Below `DECISIVE` there is no opinion and no signal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from pipeline.intake.sources.bars import Bar
from pipeline.model.signals import Action

STRATEGY = "consensus"
#: The actions that an opinion may have.
ACTIONS = (Action.BUY.value, Action.SELL.value)
#: The bars of a window: ten for the true ranges, and the close of one more before them.
WINDOW = 11
#: Percent. Below it, the votes largely cancel each other out.
DECISIVE = Decimal(60)
#: The farthest stop that the strictest shipped executor allows, as a part of the entry price.
WIDEST_STOP = Decimal("0.015")

_AVERAGE_BARS = 3
_CHANNEL_BARS = 3
_NARROWEST_STOP = Decimal("0.005")
#: The target is this many times as far from the entry price as the stop.
_REWARD = 2
_TREND_WEIGHT, _MOMENTUM_WEIGHT, _BREAKOUT_WEIGHT = Decimal("0.3"), Decimal("0.4"), Decimal("0.3")
#: The distances that make a full vote, in average true ranges.
_FULL_TREND, _FULL_MOMENTUM = Decimal("0.3"), Decimal("0.4")
#: The average true range as a part of the price. 1-2 % is usual for a large share; October 2008 had 8 %.
_CRISIS_RANGE, _VOLATILE_RANGE = Decimal("0.08"), Decimal("0.03")
#: The net move as a part of the sum of all moves. A random walk of ten steps has about a third.
_TRENDING = Decimal("0.4")
_HUNDREDTH = Decimal("0.01")


class Regime(StrEnum):
    """The behaviour of a symbol's market."""

    TRENDING = "TRENDING"
    CONSOLIDATION = "CONSOLIDATION"
    VOLATILE = "VOLATILE"
    CRISIS = "CRISIS"


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """The opinion on a window of bars. Prices are in dollars per share, the confidence in percent."""

    action: Action
    confidence: Decimal
    entry_price: Decimal
    target_price: Decimal
    stop_price: Decimal
    regime: Regime


def consensus(bars: Sequence[Bar]) -> Opinion | None:
    """Return the opinion on the last `WINDOW` of *bars*, oldest first; None if there is no opinion.

    The entry price is the last close. The stop is at most `WIDEST_STOP` away from it, on the losing side.
    """
    if len(bars) < WINDOW:
        return None
    window = bars[-WINDOW:]
    true_range = average_true_range(window)
    if true_range <= 0 or min(bar.low for bar in window) <= 0:
        return None
    vote = _weighted_vote(window, true_range)
    confidence = (50 + 50 * abs(vote)).quantize(_HUNDREDTH, ROUND_HALF_EVEN)
    if confidence < DECISIVE:
        return None
    action = Action.BUY if vote > 0 else Action.SELL
    entry = window[-1].close
    levels = _levels(entry, action, true_range)
    if levels is None:
        return None
    target, stop = levels
    return Opinion(
        action=action,
        confidence=confidence,
        entry_price=entry,
        target_price=target,
        stop_price=stop,
        regime=regime(window, true_range),
    )


def as_signal(
    opinion: Opinion, *, source: str, source_id: str, symbol: str, generated_at: datetime | None = None
) -> dict[str, Any]:
    """Return *opinion* as a raw signal, with money as strings.

    Without *generated_at*, the age of the signal counts from its receipt.
    """
    return {
        "source": source,
        "source_id": source_id,
        "symbol": symbol,
        "action": opinion.action.value,
        "confidence": str(opinion.confidence),
        "entry_price": str(opinion.entry_price),
        "target_price": str(opinion.target_price),
        "stop_price": str(opinion.stop_price),
        "strategy": STRATEGY,
        "regime": opinion.regime.value,
        "generated_at": None if generated_at is None else generated_at.astimezone(UTC).isoformat(),
    }


def average_true_range(window: Sequence[Bar]) -> Decimal:
    """Return the mean range of all bars but the first; each range includes the gap from the close before it."""
    ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(window)]
    return sum(ranges, Decimal(0)) / len(ranges)


def trend(window: Sequence[Bar], true_range: Decimal) -> Decimal:
    """Vote by the distance of the close from its moving average."""
    closes = [bar.close for bar in window[-_AVERAGE_BARS:]]
    average = sum(closes, Decimal(0)) / len(closes)
    return _vote((closes[-1] - average) / (true_range * _FULL_TREND))


def momentum(window: Sequence[Bar], true_range: Decimal) -> Decimal:
    """Vote by the rate of change over one bar."""
    return _vote((window[-1].close - window[-2].close) / (true_range * _FULL_MOMENTUM))


def breakout(window: Sequence[Bar]) -> Decimal:
    """Vote by the position of the close in the Donchian channel of the bars before it; outside is a full vote."""
    channel = window[-1 - _CHANNEL_BARS : -1]
    high, low = max(bar.high for bar in channel), min(bar.low for bar in channel)
    if high <= low:
        return Decimal(0)
    return _vote((2 * window[-1].close - high - low) / (high - low))


def regime(window: Sequence[Bar], true_range: Decimal) -> Regime:
    """Return the market's regime: first by its volatility, then by whether the price has a direction."""
    volatility = true_range / window[-1].close
    if volatility >= _CRISIS_RANGE:
        return Regime.CRISIS
    if volatility >= _VOLATILE_RANGE:
        return Regime.VOLATILE
    path = sum((abs(bar.close - before.close) for before, bar in pairwise(window)), Decimal(0))
    if path > 0 and abs(window[-1].close - window[0].close) / path >= _TRENDING:
        return Regime.TRENDING
    return Regime.CONSOLIDATION


def _weighted_vote(window: Sequence[Bar], true_range: Decimal) -> Decimal:
    return (
        _TREND_WEIGHT * trend(window, true_range)
        + _MOMENTUM_WEIGHT * momentum(window, true_range)
        + _BREAKOUT_WEIGHT * breakout(window)
    )


def _vote(value: Decimal) -> Decimal:
    return max(Decimal(-1), min(Decimal(1), value))


def _levels(entry: Decimal, action: Action, true_range: Decimal) -> tuple[Decimal, Decimal] | None:
    """Return target and stop on the price grid, rounded towards *entry*; None when the grid is too coarse for them."""
    distance = entry * max(_NARROWEST_STOP, min(WIDEST_STOP, true_range / entry))
    up = action is Action.BUY
    grid = Decimal("0.01") if entry >= 1 else Decimal("0.0001")
    above, below = (distance * _REWARD, distance) if up else (distance, distance * _REWARD)
    high = (entry + above).quantize(grid, ROUND_FLOOR)
    low = (entry - below).quantize(grid, ROUND_CEILING)
    if not low < entry < high or low <= 0:
        return None
    return (high, low) if up else (low, high)
