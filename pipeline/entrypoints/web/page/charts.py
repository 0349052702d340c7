"""Lay out charts as plain shapes for the templates. Pure. A chart is 1000 units wide; the browser stretches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000, 100
#: The number of colours; when there are more reasons, the rarest share the last colour.
COLOURS = 6
OTHERS = "others"


@dataclass(frozen=True, kw_only=True)
class ChartBar:
    """One piece of a column; *x* and *y* are its top left corner."""

    x: float
    y: float
    width: float
    height: float
    #: The number of its colour.
    series: int
    label: str


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of the legend."""

    name: str
    number: int
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """Return the sum over the slots."""
        return sum(self.counts)


def most_frequent(counts: Mapping[str, Sequence[int]]) -> list[Series]:
    """Return the series with the largest sums, and the sum of the others as one series."""
    ordered = sorted(counts.items(), key=lambda each: (-sum(each[1]), each[0]))
    own, rest = (ordered, []) if len(ordered) <= COLOURS else (ordered[: COLOURS - 1], ordered[COLOURS - 1 :])
    series = [Series(name=name, number=number, counts=tuple(each)) for number, (name, each) in enumerate(own)]
    if rest:
        sums = tuple(map(sum, zip(*(each for _, each in rest), strict=True)))
        series.append(Series(name=OTHERS, number=COLOURS - 1, counts=sums))
    return series


def columns(series: Sequence[Series], labels: Sequence[str]) -> tuple[list[ChartBar], int]:
    """Return the pieces of stacked columns, one column per label, and the count of the highest column."""
    highest = max((sum(each.counts[slot] for each in series) for slot in range(len(labels))), default=0)
    step = WIDTH / max(len(labels), 1)
    bars = []
    for slot, label in enumerate(labels):
        top = float(HEIGHT)
        for each in series:
            count = each.counts[slot]
            if not count:
                continue
            height = HEIGHT * count / highest
            top -= height
            # A column leaves 8 % of its slot free on each side.
            bars.append(
                ChartBar(
                    x=round(slot * step + step * 0.08, 2),
                    y=round(top, 2),
                    width=round(step * 0.84, 2),
                    height=round(height, 2),
                    series=each.number,
                    label=f"{label}: {count} {each.name}",
                )
            )
    return bars, highest


def lines(rates: Sequence[float | None]) -> list[str]:
    """Return the pieces of a line as points: a rate of 0 is at the bottom, 1 at the top.

    A rate is drawn over the width of its slot. A missing rate (None) interrupts the line.
    """
    step = WIDTH / max(len(rates), 1)
    pieces: list[list[str]] = [[]]
    for slot, rate in enumerate(rates):
        if rate is None:
            pieces.append([])
            continue
        y = round(HEIGHT * (1 - rate), 2)
        pieces[-1] += [f"{round(slot * step, 2)},{y}", f"{round((slot + 1) * step, 2)},{y}"]
    return [" ".join(piece) for piece in pieces if piece]
