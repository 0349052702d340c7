"""The first ledger: the signals to send and when each is due, made from a seed and kept in a file."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The source of the drill's signals in the record.
SOURCE = "drill"
#: The price of every symbol, in dollars. It is pinned at the exchange, so that only faults keep an order from filling.
PRICE = 20
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: The share of buys among the signals, and of larger quantities among the buys.
_BUYS = 0.7
_SIGNALS_PER_SYMBOL = 3
#: For drills with exits: about how often each symbol is opened and closed, and the fewest and most open positions.
_PAIRS_PER_SYMBOL = 4
_FEWEST_OPEN, _MOST_OPEN = 3, 12
#: Every second signal has a stop, if it is a buy. The price never reaches it.
_SIGNALS_PER_STOP = 2
STOP = 10
#: A close picks one of this many positions: those that have been open for the longest.
_OLDEST = 3
#: No executor of the drill has a higher minimum confidence.
_EVERY_MINIMUM = 82


@dataclass(frozen=True, kw_only=True)
class DrillSignal:
    """A signal and when it is due, in seconds since 1970."""

    due: float
    body: dict[str, Any]

    @property
    def source_id(self) -> str:
        """Return the signal's `source_id` in the record."""
        return str(self.body["source_id"])

    @property
    def closes(self) -> bool:
        """Return whether it can only close a position."""
        return self.body.get("intent") == "close"


def make_signals(seed: int, count: int) -> list[dict[str, Any]]:
    """Return *count* signals, mostly buys, some of them below an executor's minimum confidence."""
    dice = random.Random(f"drill signals {seed}")  # noqa: S311 -- not a secret
    names = symbols(max(1, count // _SIGNALS_PER_SYMBOL))
    signals = []
    for number in range(count):
        buys = dice.random() < _BUYS
        body: dict[str, Any] = {
            "source_id": f"{number:06d}",
            "symbol": dice.choice(names),
            "action": "BUY" if buys else "SELL",
            "confidence": dice.randint(70, 99),
            "entry_price": PRICE,
        }
        if buys and dice.random() < _BUYS:
            # Only an order of several shares can be filled in part.
            body["quantity"] = dice.randint(2, 5)
        signals.append(body)
    return signals


def make_pairs(seed: int, count: int) -> list[dict[str, Any]]:
    """Return *count* signals: each opens a position, or closes the whole of one that an earlier signal opened.

    A symbol is opened again only after its close. With an odd *count*, one position is never closed.
    """
    dice = random.Random(f"drill pairs {seed}")  # noqa: S311 -- not a secret
    names = symbols(max(2 * _MOST_OPEN, count // 2 // _PAIRS_PER_SYMBOL))
    opened: list[str] = []
    signals = []
    for number in range(count):
        full = len(opened) >= min(_MOST_OPEN, count - number)
        if full or (len(opened) >= _FEWEST_OPEN and dice.random() < 1 / 2):
            symbol = opened.pop(dice.randrange(min(_OLDEST, len(opened))))
            body: dict[str, Any] = {"symbol": symbol, "action": "SELL", "intent": "close"}
        else:
            symbol = dice.choice([name for name in names if name not in opened])
            opened.append(symbol)
            figures = {"confidence": dice.randint(73, 99), "entry_price": PRICE, "quantity": dice.randint(1, 5)}
            body = {"symbol": symbol, "action": "BUY", **figures}
            if number % _SIGNALS_PER_STOP == 0:
                body["stop_price"] = STOP
        signals.append({"source_id": f"{number:06d}", **body})
    return signals


def symbols(count: int) -> list[str]:
    """Return *count* tickers without price bars: QAAA, QAAB, and so on."""
    size = len(_LETTERS)
    return [f"Q{_LETTERS[n // size**2 % size]}{_LETTERS[n // size % size]}{_LETTERS[n % size]}" for n in range(count)]


def timed(signals: Sequence[dict[str, Any]], *, begins: float, seconds: float) -> list[DrillSignal]:
    """Spread *signals* evenly over *seconds* from *begins* (in seconds since 1970)."""
    step = seconds / len(signals)
    return [DrillSignal(due=begins + number * step, body=body) for number, body in enumerate(signals)]


def real_exits(ledger: Sequence[DrillSignal]) -> list[tuple[float, str]]:
    """Return the due time and the symbol of each close that has something to close at every executor."""
    opened: set[str] = set()
    exits = []
    for sent in ledger:
        symbol = sent.body["symbol"]
        if not sent.closes and sent.body["confidence"] >= _EVERY_MINIMUM:
            opened.add(symbol)
        elif symbol in opened:
            opened.remove(symbol)
            exits.append((sent.due, symbol))
    return exits


def write_ledger(path: Path, ledger: Sequence[DrillSignal]) -> None:
    """Replace the file as a whole, because the producer may read it at any time."""
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps({"due": sent.due, "signal": sent.body}) + "\n" for sent in ledger))
    fresh.replace(path)


def read_ledger(path: Path) -> Iterator[DrillSignal]:
    """Yield the signals that `write_ledger` wrote; none while there is no file."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        yield DrillSignal(due=entry["due"], body=entry["signal"])
