from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.intake.sources.bars import Bar
from pipeline.intake.sources.consensus import (
    WIDEST_STOP,
    WINDOW,
    Regime,
    as_signal,
    average_true_range,
    breakout,
    consensus,
    momentum,
    regime,
    trend,
)
from pipeline.model.signals import Action, read_signal

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def bar(close: str | Decimal, *, high: str | Decimal | None = None, low: str | Decimal | None = None) -> Bar:
    price = Decimal(close)
    return Bar(
        symbol="AAPL",
        open=price,
        high=price if high is None else Decimal(high),
        low=price if low is None else Decimal(low),
        close=price,
        volume=1000,
    )


def window(*closes: str, spread: str = "1") -> list[Bar]:
    return [bar(close, high=Decimal(close) + Decimal(spread), low=Decimal(close) - Decimal(spread)) for close in closes]


FLAT = ["100"] * (WINDOW - 1)


@st.composite
def windows(draw: st.DrawFn) -> list[Bar]:
    prices = st.decimals(min_value="0.0001", max_value="100000", places=4)
    bars = []
    for _ in range(draw(st.integers(WINDOW, WINDOW + 3))):
        low, close, high = sorted(draw(st.tuples(prices, prices, prices)))
        bars.append(bar(close, high=high, low=low))
    return bars


@st.composite
def calm_windows(draw: st.DrawFn) -> list[Bar]:
    """Return bars near one price, as in a market, because most windows of random prices are refused."""
    price = draw(st.decimals(min_value="0.5", max_value="5000", places=2))
    steps = st.decimals(min_value="-0.03", max_value="0.03", places=4)
    reach = st.decimals(min_value="0", max_value="0.02", places=4)
    bars = []
    for _ in range(WINDOW):
        price = (price * (1 + draw(steps))).quantize(Decimal("0.0001"))
        bars.append(bar(price, high=price * (1 + draw(reach)), low=price * (1 - draw(reach))))
    return bars


@given(st.one_of(windows(), calm_windows()))
def test_an_opinion_is_a_valid_signal_with_its_stop_near_and_on_the_losing_side(bars: list[Bar]) -> None:
    opinion = consensus(bars)

    if opinion is None:
        return
    assert 60 <= opinion.confidence <= 100
    assert opinion.confidence == opinion.confidence.quantize(Decimal("0.01"))
    assert opinion.entry_price == bars[-1].close
    assert 0 < abs(opinion.entry_price - opinion.stop_price) <= opinion.entry_price * WIDEST_STOP
    assert (opinion.stop_price < opinion.entry_price) == (opinion.action is Action.BUY)
    assert (opinion.target_price > opinion.entry_price) == (opinion.action is Action.BUY)
    raw = as_signal(opinion, source="replay", source_id="1", symbol="AAPL", generated_at=NOON)
    assert read_signal(raw).confidence == opinion.confidence


@given(calm_windows())
def test_an_upside_down_market_gives_the_opposite_opinion(bars: list[Bar]) -> None:
    """Mirrored prices keep all distances, so only the rounding of the levels may differ."""
    mirror = 2 * bars[-1].close
    mirrored = [bar(mirror - one.close, high=mirror - one.low, low=mirror - one.high) for one in bars]
    one, other = consensus(bars), consensus(mirrored)

    if one is None or other is None:
        return
    assert one.action is not other.action
    assert one.confidence == other.confidence


@pytest.mark.parametrize(
    ("last", "action"),
    [("103", Action.BUY), ("97", Action.SELL)],
)
def test_a_clear_break_is_a_full_vote_of_all_three(last: str, action: Action) -> None:
    opinion = consensus(window(*FLAT, last))

    assert opinion is not None
    assert opinion.action is action
    assert opinion.confidence == Decimal("100.00")


@pytest.mark.parametrize(
    "closes",
    [
        pytest.param([*FLAT, "100"], id="nothing moves"),
        pytest.param([*FLAT[:-1], "100.1", "100"], id="the votes cancel out"),
        pytest.param([*FLAT, "100.1"], id="too little"),
        pytest.param(FLAT, id="too few bars"),
    ],
)
def test_no_clear_direction_is_no_opinion_and_never_a_sell(closes: list[str]) -> None:
    assert consensus(window(*closes)) is None


def test_bars_without_any_movement_are_no_opinion() -> None:
    assert consensus(window(*FLAT, "100", spread="0")) is None


def test_a_price_of_nothing_is_no_opinion() -> None:
    assert consensus([*window(*FLAT), bar("1", high="101", low="0")]) is None


def test_a_price_too_small_for_its_grid_is_no_opinion() -> None:
    """1.5 % of 0.0005 is less than the smallest step of 0.0001: any stop would be too far away."""
    assert consensus(window(*["0.0005"] * (WINDOW - 1), "0.0009", spread="0.0001")) is None


def test_levels_are_rounded_towards_the_entry() -> None:
    opinion = consensus(window(*FLAT, "103.33"))

    assert opinion is not None
    assert opinion.stop_price == Decimal("101.79")
    assert opinion.target_price == Decimal("106.42")


def test_a_calm_symbol_has_a_narrower_stop() -> None:
    opinion = consensus(window(*FLAT, "100.40", spread="0.4"))

    assert opinion is not None
    assert opinion.entry_price - opinion.stop_price < Decimal("0.90")


def test_only_the_last_window_counts() -> None:
    bars = window(*FLAT, "103")

    assert consensus([*window("5", "500", "50"), *bars]) == consensus(bars)


@pytest.mark.parametrize(
    ("closes", "votes"),
    [
        (["100", "100", "100", "100"], ("0", "0", "0")),
        (["100", "100", "100", "100.5"], ("0.84", "1", "1")),
        (["100", "100", "100", "99.5"], ("-0.84", "-1", "-1")),
        (["98", "99", "102", "100"], ("-0.84", "-1", "0")),
    ],
)
def test_the_votes_of_each_indicator(closes: list[str], votes: tuple[str, str, str]) -> None:
    bars = window(*closes, spread="0.5")
    if closes[0] == "98":
        bars[0] = bar("98", high="103", low="97")
    cents = Decimal("0.01")

    seen = (trend(bars, Decimal("1.33")), momentum(bars, Decimal("1.25")), breakout(bars))

    assert tuple(Decimal(vote) for vote in votes) == tuple(vote.quantize(cents) for vote in seen)


def test_a_true_range_counts_the_gap_from_the_close_before() -> None:
    assert average_true_range([bar("100"), bar("110", high="111", low="109"), bar("110")]) == Decimal("5.5")


@pytest.mark.parametrize(
    ("closes", "true_range", "expected"),
    [
        (["100", "101", "102"], "1", Regime.TRENDING),
        (["100", "101", "100"], "1", Regime.CONSOLIDATION),
        (["100", "100", "100"], "1", Regime.CONSOLIDATION),
        (["100", "101", "102"], "3.5", Regime.VOLATILE),
        (["100", "101", "102"], "9", Regime.CRISIS),
    ],
)
def test_a_regime_is_first_how_wild_and_then_where_to(closes: list[str], true_range: str, expected: Regime) -> None:
    assert regime(window(*closes), Decimal(true_range)) is expected


def test_a_signal_has_money_as_strings_and_a_time_in_utc() -> None:
    opinion = consensus(window(*FLAT, "103"))
    assert opinion is not None

    raw = as_signal(opinion, source="replay", source_id="1-AAPL-2005-01-03", symbol="AAPL", generated_at=NOON)

    assert raw == {
        "source": "replay",
        "source_id": "1-AAPL-2005-01-03",
        "symbol": "AAPL",
        "action": "BUY",
        "confidence": "100.00",
        "entry_price": "103",
        "target_price": "106.09",
        "stop_price": "101.46",
        "strategy": "consensus",
        "regime": "TRENDING",
        "generated_at": "2026-03-02T12:00:00+00:00",
    }
