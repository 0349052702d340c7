"""Choose the opinions that become signals.

An opinion on a symbol becomes a signal when its side changes; a purchase also when its confidence rises to `STRONG`. A
weak purchase, or one soon after the purchase before, does not.
"""

from dataclasses import dataclass
from decimal import Decimal

from pipeline.intake.sources.consensus import Opinion
from pipeline.model.signals import Action

#: A purchase with less confidence is not a signal, because no shipped executor takes it.
WEAKEST = Decimal(75)
#: When the confidence of a purchase rises to this, it is a signal again, for an executor with a higher minimum.
STRONG = Decimal(82)
#: The least number of cycles between two purchases of a symbol with a sale in between: at the usual pace, slightly
#: longer than the shipped `limits.repeat_window_s`.
REPEAT_CYCLES = 13


@dataclass(frozen=True)
class _Stance:
    action: Action
    confidence: Decimal
    #: The cursor of the cycle of the last purchase; None before the first purchase.
    bought_at: int | None


class Stances:
    """The side of each symbol's last signal.

    A new process knows none. From its second cycle on, the first SELL of a symbol is a signal: it may close what an
    earlier process bought.
    """

    def __init__(self) -> None:
        self._by_symbol: dict[str, _Stance] = {}
        self._began = False

    def take(self, opinions: dict[str, Opinion], *, cursor: int) -> dict[str, Opinion]:
        """Return the *opinions* of one cycle that are signals, by symbol."""
        signals = {}
        for symbol, opinion in opinions.items():
            stance = self._next(self._by_symbol.get(symbol), opinion, cursor)
            if stance is not None:
                self._by_symbol[symbol], signals[symbol] = stance, opinion
        self._began = True
        return signals

    def _next(self, before: _Stance | None, opinion: Opinion, cursor: int) -> _Stance | None:
        """Return the stance after *opinion*; None when the opinion is not a signal."""
        bought_at = None if before is None else before.bought_at
        if opinion.action is Action.SELL:
            closes = self._began if before is None else before.action is Action.BUY
            return _Stance(Action.SELL, opinion.confidence, bought_at) if closes else None
        if opinion.confidence < WEAKEST:
            return None
        if before is not None and before.action is Action.BUY:
            stronger = before.confidence < STRONG <= opinion.confidence
            return _Stance(Action.BUY, opinion.confidence, bought_at) if stronger else None
        # If the cursor is lower than at the last purchase, the exchange was reset.
        soon = bought_at is not None and 0 <= cursor - bought_at < REPEAT_CYCLES
        return None if soon else _Stance(Action.BUY, opinion.confidence, cursor)
