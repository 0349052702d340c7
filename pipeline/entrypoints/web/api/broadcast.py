"""Follow the record once per process, for everybody who listens."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import structlog

from pipeline.model.errors import TradewireError
from pipeline.store.record import Record
from pipeline.views.live_feed import FeedMove, follow_news, last_news

log = structlog.get_logger(__name__)

# A listener that lets so many moves lie does not read: it is let go, and comes again with its last id.
_MOST_WAITING = 1000
_MOST_LISTENERS = 100
_PAUSE_S = 1.0


@dataclass(eq=False, kw_only=True)
class Listener:
    """One who listens: moves come in order; None is the end."""

    loop: asyncio.AbstractEventLoop
    moves: asyncio.Queue[FeedMove | None] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING + 1))

    def hand(self, move: FeedMove) -> None:
        """Put *move* into the queue, or the end when it is full; only in the listener's own loop."""
        if self.moves.qsize() < _MOST_WAITING:
            self.moves.put_nowait(move)
        elif not self.moves.full():
            self.moves.put_nowait(None)


class Broadcast:
    """One thread reads what moved, as long as somebody listens."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._stop = threading.Event()
        self._reads = threading.Event()

    def join(self) -> Listener | None:
        """Listen from now on, in the running loop; None when too many listen already."""
        listener = Listener(loop=asyncio.get_running_loop())
        with self._lock:
            if len(self._listeners) >= _MOST_LISTENERS:
                return None
            self._listeners.add(listener)
            if len(self._listeners) == 1:
                self._stop, self._reads = threading.Event(), threading.Event()
                ends = (self._stop, self._reads)
                threading.Thread(target=self._follow, args=ends, name="broadcast", daemon=True).start()
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more; nobody reads the record when nobody listens."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners:
                self._stop.set()

    def reads(self, *, within_s: float) -> bool:
        """Wait until what moves from now on is handed out; False when the record is away."""
        return self._reads.wait(within_s)

    def _follow(self, stop: threading.Event, reads: threading.Event) -> None:
        while not stop.is_set():
            try:
                after = last_news(self._record)
                reads.set()
                for move in follow_news(self._record, stop, after=after):
                    self._hand_out(move, stop)
            except TradewireError as error:
                log.debug("broadcast.waits", error=str(error))
                stop.wait(_PAUSE_S)

    def _hand_out(self, move: FeedMove, stop: threading.Event) -> None:
        with self._lock:
            # A thread that was told to stop has nobody: those who listen now have a thread of their own.
            for listener in () if stop.is_set() else self._listeners:
                listener.loop.call_soon_threadsafe(listener.hand, move)
