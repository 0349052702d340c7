"""Leave out the opinions that no account could act on: the same side again, and a purchase soon after the last one."""

from dataclasses import dataclass
from decimal import Decimal

from pipeline.intake.sources.consensus import Opinion
from pipeline.model.signals import Action

#: A purchase with less confidence is no signal: no shipped executor takes it.
WEAKEST = Decimal(75)
#: A purchase that becomes so confident is a signal again: an executor that wants more than others takes it then.
STRONG = Decimal(82)
#: Cycles between two purchases of a symbol: at the usual pace just more than the shipped `limits.repeat_window_s`.
REPEAT_CYCLES = 13


@dataclass(frozen=True)
class _Stance:
    action: Action
    confidence: Decimal
    #: The cursor of the cycle of the last purchase; None before one.
    bought_at: int | None


class Stances:
    """The side of each symbol's last signal. A new process knows none, and then a SELL may close what is held."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, _Stance] = {}
        self._began = False

    def take(self, opinions: dict[str, Opinion], *, cursor: int) -> dict[str, Opinion]:
        """Return those of a cycle's *opinions*, by symbol, that are signals."""
        signals = {}
        for symbol, opinion in opinions.items():
            stance = self._next(self._by_symbol.get(symbol), opinion, cursor)
            if stance is not None:
                self._by_symbol[symbol], signals[symbol] = stance, opinion
        self._began = True
        return signals

    def _next(self, before: _Stance | None, opinion: Opinion, cursor: int) -> _Stance | None:
        """Return the stance after *opinion*; None when that is no signal."""
        bought_at = None if before is None else before.bought_at
        if opinion.action is Action.SELL:
            closes = self._began if before is None else before.action is Action.BUY
            return _Stance(Action.SELL, opinion.confidence, bought_at) if closes else None
        if opinion.confidence < WEAKEST:
            return None
        if before is not None and before.action is Action.BUY:
            stronger = before.confidence < STRONG <= opinion.confidence
            return _Stance(Action.BUY, opinion.confidence, bought_at) if stronger else None
        # A lower cursor is that of an exchange that was reset.
        soon = bought_at is not None and 0 <= cursor - bought_at < REPEAT_CYCLES
        return None if soon else _Stance(Action.BUY, opinion.confidence, cursor)
