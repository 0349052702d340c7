"""Play the shipped bars through the shipped executors' rules: orders come often, and most signals become orders."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

import pytest

from pipeline.intake.sources.bars import Bar, load_bars
from pipeline.intake.sources.consensus import WINDOW, Opinion, Regime, consensus
from pipeline.intake.sources.feed import SILENT_CADENCES
from pipeline.intake.sources.stances import Stances
from pipeline.model.signals import Action

CYCLES_A_MINUTE = 12
FIRST_HOUR = 720


@dataclass(frozen=True, kw_only=True)
class Cycle:
    opinions: Mapping[str, Opinion]
    closes: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class House:
    """An executor's rules, as far as these tests apply them."""

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
    """The holdings of a house: no pyramiding, no shorts, a SELL closes everything."""

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
        """Close the positions that fell through their stops. A stop's fill is not counted as an order."""
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
def opinions() -> tuple[tuple[dict[str, Opinion], dict[str, Decimal]], ...]:
    """Return each played day's opinions and closes."""
    bars = load_bars()
    windows: dict[str, deque[Bar]] = {}
    days = []
    for index, day in enumerate(bars.days):
        found = {}
        for bar in day.bars:
            window = windows.setdefault(bar.symbol, deque(maxlen=WINDOW))
            window.append(bar)
            opinion = consensus(tuple(window)) if index >= bars.first_played else None
            if opinion is not None:
                found[bar.symbol] = opinion
        if index >= bars.first_played:
            days.append((found, {bar.symbol: bar.close for bar in day.bars}))
    return tuple(days)


@cache
def played(laps: int = 1) -> tuple[Cycle, ...]:
    """Return the signals of a replay of *laps* laps."""
    stances = Stances()
    return tuple(
        Cycle(opinions=stances.take(found, cursor=cursor), closes=closes)
        for cursor, (found, closes) in enumerate(opinions() * laps)
    )


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
    """A minute is any twelve cycles in a row."""
    book = Book(house=rules).play(played()[:FIRST_HOUR])

    assert book.longest_silence() < CYCLES_A_MINUTE


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_the_first_cycle_already_has_an_order(rules: House) -> None:
    assert Book(house=rules).play(played()[:1]).orders == [1]


@pytest.mark.parametrize("rules", [ARGO, PROP_FIRM], ids=("argo", "prop_firm"))
@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_four_of_five_signals_become_orders(rules: House, minutes: int) -> None:
    shipped = house(rules, repeat_cycles=CYCLES_A_MINUTE, positions=10 if rules is ARGO else 3)
    cycles = played()[: minutes * CYCLES_A_MINUTE]
    book = Book(house=shipped).play(cycles)

    signals = sum(len(cycle.opinions) for cycle in cycles)
    assert sum(book.orders) >= min(8 * minutes, 50)
    assert signals > sum(book.orders) >= signals * 4 // 5


def test_the_source_is_never_reported_as_silent() -> None:
    silent = longest = 0
    for cycle in played(2):
        silent = 0 if cycle.opinions else silent + 1
        longest = max(longest, silent)

    assert longest < SILENT_CADENCES


def test_a_new_replay_closes_what_an_earlier_one_bought() -> None:
    stances = Stances()
    sell = next(found for found, _ in opinions() if all(o.action is Action.SELL for o in found.values()) and found)

    assert stances.take(sell, cursor=7) == {}
    assert stances.take(sell, cursor=8) == sell
    assert stances.take(sell, cursor=9) == {}


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_the_first_hour_stays_below_the_drawdown_at_which_entries_end(rules: House) -> None:
    """Entries end at 90 % of the limit."""
    book = Book(house=rules).play(played()[:FIRST_HOUR])

    assert book.drawdown() < rules.drawdown_limit * Decimal("0.9")


@pytest.mark.parametrize("rules", HOUSES.values(), ids=HOUSES.keys())
def test_a_second_lap_with_what_the_first_left_open_keeps_the_rhythm(rules: House) -> None:
    """Two minutes without an order are allowed, because prop_firm does not trade in the autumn of 2008."""
    book = Book(house=rules).play(played(2))

    assert book.longest_silence() <= CYCLES_A_MINUTE * 2
    assert min(sum(book.orders[start : start + 720]) for start in range(0, 2 * len(played()) - 720, 240)) > 200


def test_every_year_has_opinions_of_both_sides_and_of_all_strengths() -> None:
    every = [opinion for found, _ in opinions() for opinion in found.values()]

    for action in (Action.BUY, Action.SELL):
        confidences = [opinion.confidence for opinion in every if opinion.action is action]
        assert min(confidences) < 65
        assert max(confidences) == 100
        assert 0.3 < sum(confidence >= 82 for confidence in confidences) / len(confidences) < 0.9
    assert {opinion.regime for opinion in every} == set(Regime)
