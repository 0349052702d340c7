"""Keep the signals of the sources, in order and in memory, until they are recorded.

The buffer holds only the signals that are not recorded yet. They do not expire here: the longest age of an entry
depends on the market's hours and the executor, and PostgreSQL's clock measures it. When the producer is killed, its
buffer is lost; a source that reads lasting data (a file, the exchange's current bar) returns those signals again.
"""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from pipeline.intake.sources.protocol import Item, Unreadable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The reason why an input is recorded as a refusal and not as a signal."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class BufferedInput:
    """One input that is not recorded yet."""

    raw: Mapping[str, Any]
    #: By a monotonic clock, since this machine's time of day may be wrong.
    received_at: float
    #: Set when the input is to be recorded as a refusal.
    refusal: Refusal | None = None


class SignalBuffer:
    """A bounded queue: sources append to its end, one thread takes from its head. Thread-safe."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._queue: deque[BufferedInput] = deque()
        self._changed = threading.Condition()
        self._full_logged = False

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, items: Iterable[Item], *, source: str, now: float, stop: threading.Event) -> None:
        """Append *items* of *source*; while the buffer is full, wait until there is room or *stop* is set.

        During this wait the source is not polled. No item is ever dropped.
        """
        with self._changed:
            for item in items:
                if len(self._queue) >= self._limit:
                    self._make_room(stop)
                self._queue.append(_buffered(item, source, now))
                self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait for at most *timeout_s* until the buffer has an input; return whether it has one."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._queue), timeout_s)

    def head(self) -> BufferedInput | None:
        """Return the first input without removing it."""
        with self._changed:
            return self._queue[0] if self._queue else None

    def settle(self, waiting: BufferedInput) -> None:
        """Remove *waiting* if it is still the head."""
        with self._changed:
            if self._is_head(waiting):
                self._queue.popleft()
            self._full_logged = self._full_logged and len(self._queue) >= self._limit // 2
            self._changed.notify_all()

    def refuse(self, waiting: BufferedInput, refusal: Refusal) -> None:
        """Mark *waiting*, if it is still the head, to be recorded as a refusal."""
        with self._changed:
            if self._is_head(waiting):
                self._queue[0] = replace(waiting, refusal=refusal)

    def rest(self) -> list[BufferedInput]:
        """Return all inputs that are not recorded."""
        with self._changed:
            return list(self._queue)

    def _is_head(self, waiting: BufferedInput) -> bool:
        return bool(self._queue) and self._queue[0] is waiting

    # Once *stop* is set, the buffer may grow beyond its limit: otherwise a thread that waits for room could not end.
    def _make_room(self, stop: threading.Event) -> None:
        if not self._full_logged:
            self._full_logged = True
            log.error("spool.filled", limit=self._limit)
        while len(self._queue) >= self._limit and not stop.is_set():
            # Setting *stop* does not notify the condition, so it is checked between short waits.
            self._changed.wait(0.2)


def _buffered(item: Item, source: str, now: float) -> BufferedInput:
    if isinstance(item, Unreadable):
        refusal = Refusal(code=item.code, message=item.message)
        return BufferedInput(raw={"source": source, **item.raw}, received_at=now, refusal=refusal)
    return BufferedInput(raw={**item, "source": item.get("source") or source}, received_at=now)
