"""The price bars of each cycle: the shipped trading days from 2005 on, in an endless loop."""

from decimal import Decimal
from typing import Any

from pipeline.intake.sources.bars import BarDay, Bars

#: The most cycles that `Tape.after` returns.
MOST_CYCLES = 100
# All values are strings, so that no price loses digits on its way.
_BAR = ("symbol", "open", "high", "low", "close", "volume")


class Tape:
    """The endless sequence of cycles. A cycle is one trading day, numbered by its cursor from 1 on.

    A lap is one pass over the days. The warm-up days before its first cycle are never played; `history` returns them
    with the cursor 0.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def day(self, cursor: int) -> BarDay:
        """Return the bars of the cycle at *cursor*."""
        return self._bars.days[self._index(cursor)]

    def closes(self, cursor: int) -> dict[str, Decimal]:
        """Return the price of each symbol that has a bar at *cursor*."""
        return {bar.symbol: bar.close for bar in self.day(cursor).bars}

    def after(self, after: int, cursor: int) -> list[dict[str, Any]]:
        """Return the cycles later than *after*, up to *cursor*: the newest hundred at most."""
        first = max(after + 1, cursor - MOST_CYCLES + 1, 1)
        return [self._cycle(each, self.lap(each), self.day(each)) for each in range(first, cursor + 1)]

    def history(self, until: int, days: int) -> list[dict[str, Any]]:
        """Return the last *days* cycles up to *until*. The first of them may be warm-up days of the lap."""
        last = self._index(until)
        found = []
        for index in range(max(last - days + 1, 0), last + 1):
            back = last - index
            played = index >= self._bars.first_played
            found.append(self._cycle(until - back if played else 0, self.lap(until), self._bars.days[index]))
        return found

    def lap(self, cursor: int) -> int:
        """Return the number of the lap, from 1."""
        return (cursor - 1) // self._bars.played + 1

    def _index(self, cursor: int) -> int:
        return self._bars.first_played + (cursor - 1) % self._bars.played

    @staticmethod
    def _cycle(cursor: int, lap: int, day: BarDay) -> dict[str, Any]:
        return {
            "cursor": cursor,
            "lap": lap,
            "date": day.date.isoformat(),
            "bars": [{name: str(getattr(bar, name)) for name in _BAR} for bar in day.bars],
        }
