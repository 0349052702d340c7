"""Play the shipped bars through the shipped executors' rules, and check how often they lead to an order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

import pytest

from pipeline.intake.sources.bars import Bar, load_bars
from pipeline.intake.sources.consensus import WINDOW, Opinion, Regime, consensus
from pipeline.model.signals import Action

CYCLES_A_MINUTE = 12
FIRST_HOUR = 720


@dataclass(frozen=True, kw_only=True)
class Cycle:
    opinions: Mapping[str, Opinion]
    closes: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class House:
    """The rules of an executor that decide about an order in this test."""

    minimum: Decimal
    size: Decimal
    drawdown_limit: Decimal
    positions: int = 3
    repeat_cycles: int = 0
    stops: bool = False
    skip_crisis: bool = False


ARGO = House(minimum=Decimal(75), size=Decimal("0.15"), drawdown_limit=Decimal("0.10"))
PROP_FIRM = House(minimum=Decimal(82), size=Decimal("0.03"), drawdown_limit=Decimal("0.02"), skip_crisis=True)


@dataclass(kw_only=True)
class Book:
    """The account of an executor without pyramiding or shorts, where a SELL closes the whole position."""

    house: House
    cash: Decimal = Decimal(100_000)
    held: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    entered: dict[str, int] = field(default_factory=dict)
    orders: list[int] = field(default_factory=list)
    equity: list[Decimal] = field(default_factory=list)

    def play(self, cycles: Sequence[Cycle]) -> Book:
        for number, cycle in enumerate(cycles):
            if self.house.stops:
                self._stop_out(cycle)
            self.orders.append(
                sum(self._trade(number, cycle, symbol, opinion) for symbol, opinion in cycle.opinions.items())
            )
            self.equity.append(self._worth(cycle))
        return self

    def _worth(self, cycle: Cycle) -> Decimal:
        return self.cash + sum(
            quantity * cycle.closes.get(symbol, entry) for symbol, (quantity, entry) in self.held.items()
        )

    def _close(self, symbol: str, price: Decimal) -> None:
        quantity, _ = self.held.pop(symbol)
        self.cash += quantity * price

    def _stop_out(self, cycle: Cycle) -> None:
        """Close positions whose price fell below the stop. That is no order of ours, so it does not count as one."""
        for symbol, (_, entry) in list(self.held.items()):
            price = cycle.closes.get(symbol, entry)
            if price <= entry * Decimal("0.985"):
                self._close(symbol, price)

    def _trade(self, number: int, cycle: Cycle, symbol: str, opinion: Opinion) -> bool:
        if opinion.action is Action.SELL:
            if symbol not in self.held:
                return False
            self._close(symbol, opinion.entry_price)
            return True
        return self._enter(number, cycle, symbol, opinion)

    def _enter(self, number: int, cycle: Cycle, symbol: str, opinion: Opinion) -> bool:
        house = self.house
        if (
            symbol in self.held
            or opinion.confidence < house.minimum
            or len(self.held) >= house.positions
            or number - self.entered.get(symbol, -FIRST_HOUR) < house.repeat_cycles
            or (house.skip_crisis and opinion.regime is Regime.CRISIS)
        ):
            return False
        quantity = int(self._worth(cycle) * house.size / opinion.entry_price)
        if quantity < 1:
            return False
        self.cash -= quantity * opinion.entry_price
        self.held[symbol] = (quantity, opinion.entry_price)
        self.entered[symbol] = number
        return True

    def longest_silence(self) -> int:
        """Return the largest number of cycles in a row without an order."""
        longest = silent = 0
        for orders in self.orders:
            silent = 0 if orders else silent + 1
            longest = max(longest, silent)
        return longest

    def drawdown(self) -> Decimal:
        peak, worst = Decimal(0), Decimal(0)
        for worth in self.equity:
            peak = max(peak, worth)
            worst = max(worst, 1 - worth / peak)
        return worst


@cache
def lap() -> tuple[Cycle, ...]:
    bars = load_bars()
    windows: dict[str, deque[Bar]] = {}
    cycles = []
    for index, day in enumerate(bars.days):
        opinions = {}
        for bar in day.bars:
            window = windows.setdefault(bar.symbol, deque(maxlen=WINDOW))
            window.append(bar)
            opinion = consensus(tuple(window)) if index >= bars.first_played else None
            if opinion is not None:
                opinions[bar.symbol] = opinion
        if index >= bars.first_played:
            cycles.append(Cycle(opinions=opinions, closes={bar.symbol: bar.close for bar in day.bars}))
    return tuple(cycles)


def house(base: House, **changes: object) -> House:
    return House(**{**base.__dict__, **changes})  # type: ignore[arg-type]


HOUSES = {
    f"{name}-{rules}": house(base, **changes)
    for name, base in (("argo", ARGO), ("prop_firm", PROP_FIRM))
    for rules, changes in {
        "plain": {},
        "ten_positions": {"positions": 10},
        "room_for_two": {"positions": 2},
        "a_repeat_is_skipped_for_a_minute": {"repeat_cycles": CYCLES_A_MINUTE},
        "stops_at_the_broker": {"stops": True},
        "stops_and_repeats": {"stops": True, "repeat_cycles": CYCLES_A_MINUTE},
    }.items()
}


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_every_minute_of_the_first_hour_has_an_order(rules: House) -> None:
    """A minute may begin at any cycle. The test allows only two thirds of a minute without an order."""
    book = Book(house=rules).play(lap()[:FIRST_HOUR])

    assert book.longest_silence() <= CYCLES_A_MINUTE * 2 // 3


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_the_first_cycle_already_has_an_order(rules: House) -> None:
    assert Book(house=rules).play(lap()[:1]).orders == [1]


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_the_first_hour_stays_below_the_drawdown_at_which_entries_end(rules: House) -> None:
    """Entries stop at 90 % of the limit."""
    book = Book(house=rules).play(lap()[:FIRST_HOUR])

    assert book.drawdown() < rules.drawdown_limit * Decimal("0.9")


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_a_second_lap_with_what_the_first_left_open_keeps_the_rhythm(rules: House) -> None:
    """The limit is a minute and a half, because prop_firm does not trade in the autumn of 2008."""
    book = Book(house=rules).play(lap() * 2)

    assert book.longest_silence() <= CYCLES_A_MINUTE * 3 // 2
    assert min(sum(book.orders[start : start + 720]) for start in range(0, 2 * len(lap()) - 720, 240)) > 200


def test_every_year_has_opinions_of_both_sides_and_of_all_strengths() -> None:
    opinions = [opinion for cycle in lap() for opinion in cycle.opinions.values()]

    for action in (Action.BUY, Action.SELL):
        confidences = [opinion.confidence for opinion in opinions if opinion.action is action]
        assert min(confidences) < 65
        assert max(confidences) == 100
        assert 0.3 < sum(confidence >= 82 for confidence in confidences) / len(confidences) < 0.9
    assert {opinion.regime for opinion in opinions} == set(Regime)
