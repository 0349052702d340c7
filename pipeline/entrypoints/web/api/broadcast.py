"""Follow the record once per process, and pass every state change to all listeners."""

import asyncio
import threading
from dataclasses import dataclass, field

import structlog

from pipeline.model.errors import TradewireError
from pipeline.store.record import Record
from pipeline.views.feed_change import FeedChange
from pipeline.views.live_feed import follow_changes, last_change

log = structlog.get_logger(__name__)

# A listener with this many unread changes is disconnected. The client can reconnect with the number of its last change.
_MOST_WAITING = 1000
_MOST_LISTENERS = 100
#: Listeners of one token, so that a token cannot take the places of all others.
MOST_PER_TOKEN = 25
_PAUSE_S = 1.0


@dataclass(eq=False, kw_only=True)
class Listener:
    """A client that listens. Its queue has the state changes in order; None marks the end."""

    loop: asyncio.AbstractEventLoop
    #: The name of its token.
    name: str
    changes: asyncio.Queue[FeedChange | None] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING + 1))

    def hand(self, change: FeedChange) -> None:
        """Put *change* into the queue, or None when the queue is full. Call this in the listener's own event loop."""
        if self.changes.qsize() < _MOST_WAITING:
            self.changes.put_nowait(change)
        elif not self.changes.full():
            self.changes.put_nowait(None)


class Broadcast:
    """Reads the state changes in one thread while there are listeners."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._stop = threading.Event()
        self._reads = threading.Event()

    def join(self, name: str) -> Listener | None:
        """Return a new listener for the running event loop; None when there are too many, in all or of token *name*."""
        listener = Listener(loop=asyncio.get_running_loop(), name=name)
        with self._lock:
            of_token = sum(each.name == name for each in self._listeners)
            if len(self._listeners) >= _MOST_LISTENERS or of_token >= MOST_PER_TOKEN:
                return None
            self._listeners.add(listener)
            if len(self._listeners) == 1:
                self._stop, self._reads = threading.Event(), threading.Event()
                ends = (self._stop, self._reads)
                threading.Thread(target=self._follow, args=ends, name="broadcast", daemon=True).start()
        return listener

    def leave(self, listener: Listener) -> None:
        """Remove *listener*. Without listeners the record is not read."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners:
                self._stop.set()

    def reads(self, *, within_s: float) -> bool:
        """Wait until new state changes are passed on; return False when PostgreSQL stays away for *within_s*."""
        return self._reads.wait(within_s)

    def _follow(self, stop: threading.Event, reads: threading.Event) -> None:
        while not stop.is_set():
            try:
                after = last_change(self._record)
                reads.set()
                for change in follow_changes(self._record, stop, after=after):
                    self._hand_out(change, stop)
            except TradewireError as error:
                log.debug("broadcast.waits", error=str(error))
                stop.wait(_PAUSE_S)

    def _hand_out(self, change: FeedChange, stop: threading.Event) -> None:
        with self._lock:
            # After a stop, the present listeners belong to a newer thread.
            for listener in () if stop.is_set() else self._listeners:
                listener.loop.call_soon_threadsafe(listener.hand, change)
