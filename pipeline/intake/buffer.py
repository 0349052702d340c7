"""Keep the signals of the sources, in order and in memory, until they are recorded.

The buffer holds only what PostgreSQL could not take yet. A producer that is killed meanwhile loses it; a source that
reads lasting data (a file, the exchange's current bar) returns it again.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from pipeline.intake.sources.protocol import Item, Unreadable

log = structlog.get_logger(__name__)

#: The code of the refusal of a signal that expired before PostgreSQL came back.
EXPIRED_UNRECORDED = "expired_unrecorded"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an input is recorded as a refusal and not as a signal."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class BufferedInput:
    """One input that is not recorded yet."""

    raw: Mapping[str, Any]
    received_at: datetime
    #: When it is too late to record it as a signal; None for what may be an exit.
    expires_at: datetime | None = None
    #: Set when it is to be recorded as a refusal.
    refusal: Refusal | None = None

    @property
    def expired(self) -> bool:
        """Return whether it expired before it could be recorded."""
        return self.refusal is not None and self.refusal.code == EXPIRED_UNRECORDED


class SignalBuffer:
    """A bounded queue: sources append to its end, one thread takes from its head. Thread-safe."""

    def __init__(self, *, limit: int, entry_age: timedelta) -> None:
        self._limit = limit
        self._entry_age = entry_age
        self._queue: deque[BufferedInput] = deque()
        self._changed = threading.Condition()
        self._dropped = 0
        self._full_logged = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def dropped(self) -> int:
        """The number of expired signals that were dropped unrecorded because the buffer was full."""
        return self._dropped

    def put(self, items: Iterable[Item], *, source: str, now: datetime, stop: threading.Event) -> None:
        """Append *items* of *source*; while the buffer is full, wait until there is room or *stop* is set.

        The source is not polled while it waits here. Signals that have not expired are never dropped.
        """
        with self._changed:
            for item in items:
                if len(self._queue) >= self._limit:
                    self._make_room(stop)
                self._queue.append(_buffered(item, source, now, self._entry_age))
                self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the buffer has an input; return whether it came within *timeout_s*."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._queue), timeout_s)

    def head(self) -> BufferedInput | None:
        """Return the first input without removing it."""
        with self._changed:
            return self._queue[0] if self._queue else None

    def settle(self, waiting: BufferedInput) -> None:
        """Remove *waiting*, which was the head."""
        with self._changed:
            if self._is_head(waiting):
                self._queue.popleft()
            self._full_logged = self._full_logged and len(self._queue) >= self._limit // 2
            self._changed.notify_all()

    def refuse(self, waiting: BufferedInput, refusal: Refusal) -> None:
        """Mark *waiting*, which was the head, to be recorded as a refusal."""
        with self._changed:
            if self._is_head(waiting):
                self._queue[0] = replace(waiting, refusal=refusal)

    def expire(self, now: datetime) -> list[BufferedInput]:
        """Turn the signals that have expired by *now* into refusals, without changing the order; return them."""
        with self._changed:
            expired = [each for each in self._queue if _has_expired(each, now)]
            if expired:
                self._queue = deque(
                    replace(each, refusal=_too_late(each, now)) if _has_expired(each, now) else each
                    for each in self._queue
                )
            return expired

    def rest(self) -> list[BufferedInput]:
        """Return all inputs that are not recorded."""
        with self._changed:
            return list(self._queue)

    # An expired head may have been dropped to make room.
    def _is_head(self, waiting: BufferedInput) -> bool:
        return bool(self._queue) and self._queue[0] is waiting

    # At a stop the buffer may grow beyond its limit, because a source that waits here could not end.
    def _make_room(self, stop: threading.Event) -> None:
        if not self._full_logged:
            self._full_logged = True
            log.error("spool.filled", limit=self._limit)
        kept = deque(each for each in self._queue if not each.expired)
        dropped = len(self._queue) - len(kept)
        if dropped:
            self._queue = kept
            self._dropped += dropped
            log.error("signals.dropped", count=dropped, why="they have expired and the buffer is full")
        while len(self._queue) >= self._limit and not stop.is_set():
            # A stop does not notify the condition, so it is checked between short waits.
            self._changed.wait(0.2)


def deadline(raw: Mapping[str, Any], *, received_at: datetime, entry_age: timedelta) -> datetime | None:
    """Return when *raw* expires; None for what is or may be an exit, which does not expire.

    A SELL whose intent is auto may close a position: only the broker's positions show it.
    """
    action, intent = (str(raw.get(key) or "").lower() for key in ("action", "intent"))
    if intent == "close" or (action == "sell" and intent != "open"):
        return None
    generated_at = _time(raw.get("generated_at")) or received_at
    expires_at = _time(raw.get("expires_at"))
    return min(generated_at + entry_age, expires_at) if expires_at else generated_at + entry_age


def _buffered(item: Item, source: str, now: datetime, entry_age: timedelta) -> BufferedInput:
    if isinstance(item, Unreadable):
        refusal = Refusal(code=item.code, message=item.message)
        return BufferedInput(raw={"source": source, **item.raw}, received_at=now, refusal=refusal)
    raw = {**item, "source": item.get("source") or source}
    if raw.get("generated_at") is None:
        # Otherwise the time of recording would count, and the time in this buffer would not be part of the age.
        raw["generated_at"] = now.astimezone(UTC).isoformat()
    return BufferedInput(raw=raw, received_at=now, expires_at=deadline(raw, received_at=now, entry_age=entry_age))


def _has_expired(waiting: BufferedInput, now: datetime) -> bool:
    return waiting.refusal is None and waiting.expires_at is not None and waiting.expires_at <= now


def _too_late(waiting: BufferedInput, now: datetime) -> Refusal:
    waited_s = (now - waiting.received_at).total_seconds()
    message = f"PostgreSQL was away until the signal had expired; it waited {waited_s:.0f} s"
    return Refusal(code=EXPIRED_UNRECORDED, message=message)


# A time without a zone counts as none here: the validation of the signal reports what is wrong with it.
def _time(value: Any) -> datetime | None:
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else None


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time by this machine's clock: the database's cannot be read while PostgreSQL is away."""
    return datetime.now(UTC)
