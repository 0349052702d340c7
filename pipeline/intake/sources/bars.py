"""Read the daily price bars that ship with the project, adjusted for splits.

Prices are adjusted for splits only, not for dividends. Both change the factor `Adj Close / Close`, so a day on which it
rises by a quarter or more counts as a split. The largest dividend in the file (MSFT, November 2004) changes it by 11 %,
the smallest split by 100 %. Prices are rounded to cents, as a broker quotes them.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from importlib.resources import files

#: The first day that is played; the days before are history for the indicators.
FIRST_PLAYED = date(2005, 1, 1)
_SPLIT = Decimal("1.25")
_CENT = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One symbol's prices of one day, split-adjusted, in dollars."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, kw_only=True)
class BarDay:
    """The bars of one trading day, by symbol in alphabetical order."""

    date: date
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Bars:
    """All trading days in order. The days before index *first_played* are history for the indicators."""

    days: tuple[BarDay, ...]
    first_played: int

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols that are played, in alphabetical order."""
        return tuple(sorted({bar.symbol for day in self.days[self.first_played :] for bar in day.bars}))

    @property
    def played(self) -> int:
        """The number of days in one lap."""
        return len(self.days) - self.first_played


@dataclass(frozen=True, kw_only=True)
class _Row:
    day: date
    prices: tuple[Decimal, Decimal, Decimal, Decimal]
    volume: int
    factor: Decimal


@cache
def load_bars() -> Bars:
    """Return the shipped bars; the file is read once per process."""
    by_symbol: dict[str, list[_Row]] = defaultdict(list)
    with (
        files("pipeline.intake.sources").joinpath("daily-bars.csv.gz").open("rb") as raw,
        gzip.open(raw, "rt", encoding="utf-8", newline="") as text,
    ):
        for line in csv.DictReader(text):
            by_symbol[line["Ticker"]].append(_row(line))
    by_day: dict[date, list[Bar]] = defaultdict(list)
    for symbol in sorted(by_symbol):
        for row, splits in zip(by_symbol[symbol], _splits(by_symbol[symbol]), strict=True):
            by_day[row.day].append(_bar(symbol, row, splits))
    days = tuple(BarDay(date=day, bars=tuple(by_day[day])) for day in sorted(by_day))
    first = next(index for index, day in enumerate(days) if day.date >= FIRST_PLAYED)
    return Bars(days=days, first_played=first)


def _row(line: dict[str, str]) -> _Row:
    close = Decimal(line["Close"])
    return _Row(
        day=date.fromisoformat(line["Date"]),
        prices=(Decimal(line["Open"]), Decimal(line["High"]), Decimal(line["Low"]), close),
        volume=int(Decimal(line["Volume"])),
        factor=Decimal(line["Adj Close"]) / close,
    )


def _splits(rows: list[_Row]) -> Iterable[int]:
    """Return for each row how many shares one share of that day has become, through splits, by the last row."""
    shares = [1] * len(rows)
    for index in range(len(rows) - 1, 0, -1):
        jump = rows[index].factor / rows[index - 1].factor
        became = int(jump.to_integral_value(ROUND_HALF_EVEN)) if jump >= _SPLIT else 1
        shares[index - 1] = shares[index] * became
    return shares


def _bar(symbol: str, row: _Row, splits: int) -> Bar:
    opened, high, low, close = ((price / splits).quantize(_CENT, ROUND_HALF_EVEN) for price in row.prices)
    return Bar(symbol=symbol, open=opened, high=high, low=low, close=close, volume=row.volume * splits)
