"""Read the bars that the paper exchange plays, and return the opinions on them that `stances` chooses as signals.

The exchange alone decides which bar is current. So a signal's entry price is the close at which the exchange trades.
After a restart of this process or of the exchange, the replay goes on where the exchange is. A signal may be returned
twice, with the same `source_id` (lap, symbol, date). Missed cycles are skipped: the exchange no longer trades at their
prices.
"""

import threading
import time
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, TypeVar

import httpx
import structlog
from pydantic import BaseModel, Field, ValidationError

from pipeline.intake.sources.bars import Bar, load_bars
from pipeline.intake.sources.consensus import ACTIONS, STRATEGY, WINDOW, as_signal, consensus
from pipeline.intake.sources.protocol import Item, Produces, SourceContext
from pipeline.intake.sources.stances import Stances
from pipeline.model.errors import ConfigInvalid, Problem, SourceUnavailable

log = structlog.get_logger(__name__)

#: Seconds that one request waits for the next cycle, at most. A stop is noticed only after this wait.
_LONG_POLL_S = 1.0
_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
#: Seconds to wait after an answer without a new cycle, if the exchange answered at once instead of waiting.
_SHORTEST_POLL_S = 0.1
#: The replay counts as stalled after the first number of cycles without a new bar, at the earliest after the second
#: number of seconds.
_STALLED_CYCLES, _STALLED_S = 6, 15.0

_Price = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class _Bar(BaseModel):
    symbol: str
    open: _Price
    high: _Price
    low: _Price
    close: _Price
    volume: Decimal


class _Cycle(BaseModel):
    cursor: int
    lap: int
    date: date
    bars: tuple[_Bar, ...]


class _Position(BaseModel):
    cursor: int | None
    cadence_s: float


class _History(BaseModel):
    cycles: tuple[_Cycle, ...]


_Answer = TypeVar("_Answer", bound=BaseModel)


class ReplaySource:
    """Practice signals on the exchange's bars."""

    name = "replay"
    pause_s = 0.0

    def __init__(self, *, exchange_url: str, cadence_s: float) -> None:
        self.cadence_s = cadence_s
        # No proxies: the exchange is normally on this machine.
        self._http = httpx.Client(base_url=exchange_url, timeout=_TIMEOUT, trust_env=False)
        self._cursor: int | None = None
        self._stances = Stances()
        self._moved_at = time.monotonic()

    @property
    def finished(self) -> bool:
        """Always False: the exchange plays its bars in a loop."""
        return False

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Wait up to 1 s for the next cycle and return the signals on it.

        Raises:
            SourceUnavailable: The exchange is away or stalled, or its answer cannot be read.
        """
        started_at = time.monotonic()
        cursor = self._next_cursor()
        if cursor is None or cursor == self._cursor:
            self._refuse_stall()
            if time.monotonic() - started_at < _SHORTEST_POLL_S:
                stop.wait(_SHORTEST_POLL_S)
            return []
        signals = self._signals_on(self._history_until(cursor))
        self._move_to(cursor)
        return signals

    def close(self) -> None:
        """Close the connection to the exchange."""
        self._http.close()

    def _next_cursor(self) -> int | None:
        wait = min(_LONG_POLL_S, self.cadence_s)
        query: dict[str, float] = {"wait": 0.0} if self._cursor is None else {"after": self._cursor, "wait": wait}
        position = self._get("/bars", query, _Position)
        self.cadence_s = position.cadence_s
        return position.cursor

    # At the start of a lap, the history includes the days before the first played one.
    def _history_until(self, cursor: int) -> tuple[_Cycle, ...]:
        cycles = self._get("/bars/history", {"until": cursor, "days": WINDOW}, _History).cycles
        if not cycles or cycles[-1].cursor != cursor:
            raise SourceUnavailable(f"The exchange has no history until its own cursor {cursor}.")
        if any(later.date <= earlier.date for earlier, later in pairwise(cycles)):
            raise SourceUnavailable(f"The exchange's history until {cursor} is not in the order of its days.")
        return cycles

    def _signals_on(self, cycles: Sequence[_Cycle]) -> list[dict[str, Any]]:
        cycle = cycles[-1]
        opinions = {}
        for symbol in sorted(bar.symbol for bar in cycle.bars):
            opinion = consensus(_window(cycles, symbol))
            if opinion is not None:
                opinions[symbol] = opinion
        taken = self._stances.take(opinions, cursor=cycle.cursor)
        day = cycle.date.isoformat()
        return [
            as_signal(opinion, source=self.name, source_id=f"{cycle.lap}-{symbol}-{day}", symbol=symbol)
            for symbol, opinion in taken.items()
        ]

    def _move_to(self, cursor: int) -> None:
        if self._cursor is not None and cursor > self._cursor + 1:
            log.warning("replay.cycles_missed", missed=cursor - self._cursor - 1, cursor=cursor)
        self._cursor, self._moved_at = cursor, time.monotonic()

    def _refuse_stall(self) -> None:
        stalled_s = time.monotonic() - self._moved_at
        if stalled_s > max(_STALLED_S, _STALLED_CYCLES * self.cadence_s):
            raise SourceUnavailable(f"The exchange has played no new bar since cursor {self._cursor}.")

    def _get(self, path: str, query: dict[str, float], answer: type[_Answer]) -> _Answer:
        try:
            response = self._http.get(path, params=query)
        except httpx.TransportError as exc:
            raise SourceUnavailable(f"The exchange cannot be reached: {type(exc).__name__}.") from exc
        if response.status_code != httpx.codes.OK:
            raise SourceUnavailable(f"The exchange answered {path} with {response.status_code}.")
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as exc:
            fault = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or "the whole answer"
            raise SourceUnavailable(
                f"The exchange's answer to {path} cannot be read: {where}: {fault['msg']}."
            ) from None


def open_source(context: SourceContext) -> ReplaySource:
    """Return the replay of the exchange that *context* names. The first poll connects to the exchange.

    Raises:
        ConfigInvalid: No exchange is configured.
    """
    if not context.exchange_url:
        message = "the replay source reads its bars from the paper exchange, and no exchange is configured"
        raise ConfigInvalid([Problem(key="exchange_url", message=message)])
    return ReplaySource(exchange_url=context.exchange_url, cadence_s=context.cadence_s)


def produces(_: SourceContext) -> Produces:
    """Declare the signals: the symbols of the shipped bars, the strategy and the actions."""
    return Produces(symbols=load_bars().symbols, strategies=(STRATEGY,), actions=ACTIONS)


def _window(cycles: Sequence[_Cycle], symbol: str) -> list[Bar]:
    return [
        Bar(symbol=symbol, open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=int(bar.volume))
        for cycle in cycles
        for bar in cycle.bars
        if bar.symbol == symbol
    ]
