"""Keep what the sources gave, in order and in memory, until the record has taken it.

Only what PostgreSQL could not take yet is here. A producer that is killed meanwhile loses it; sources that
read something lasting (a file, the exchange's current bar) give it again.
"""

from __future__ import annotations

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
    """Why something is kept as a refusal and not as a signal."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One thing that the record has yet to take."""

    raw: Mapping[str, Any]
    received_at: datetime
    #: When it is no use any more; None for what may be an exit.
    expires_at: datetime | None = None
    #: Set: it is to be recorded as a refusal.
    refusal: Refusal | None = None

    @property
    def expired(self) -> bool:
        """Say whether it waited for too long."""
        return self.refusal is not None and self.refusal.code == EXPIRED_UNRECORDED


class SignalBuffer:
    """A bounded line: the sources put at its end, one thread takes from its head."""

    def __init__(self, *, limit: int, entry_age: timedelta) -> None:
        self._limit = limit
        self._entry_age = entry_age
        self._line: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._dropped = 0
        self._said_full = False

    def __len__(self) -> int:
        return len(self._line)

    @property
    def dropped(self) -> int:
        """How many expired signals were dropped, unrecorded, because the line was full."""
        return self._dropped

    def put(self, items: Iterable[Item], *, source: str, now: datetime, stop: threading.Event) -> None:
        """Put *items* of *source* at the end; while the line is full, wait until there is room or *stop*.

        A source that waits here is not polled meanwhile: nothing that is still good is ever dropped.
        """
        with self._changed:
            for item in items:
                if len(self._line) >= self._limit:
                    self._make_room(stop)
                self._line.append(_waiting(item, source, now, self._entry_age))
                self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is in the line; False when nothing came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._line), timeout_s)

    def head(self) -> Waiting | None:
        """Return what is first in the line, and leave it there."""
        with self._changed:
            return self._line[0] if self._line else None

    def settle(self, waiting: Waiting) -> None:
        """Take *waiting*, which was the head, out of the line."""
        with self._changed:
            if self._is_head(waiting):
                self._line.popleft()
            self._said_full = self._said_full and len(self._line) >= self._limit // 2
            self._changed.notify_all()

    def refuse(self, waiting: Waiting, refusal: Refusal) -> None:
        """Have *waiting*, which was the head, recorded as a refusal."""
        with self._changed:
            if self._is_head(waiting):
                self._line[0] = replace(waiting, refusal=refusal)

    def expire(self, now: datetime) -> list[Waiting]:
        """Turn what has expired by *now* into refusals, in its place, and return it."""
        with self._changed:
            expired = [waiting for waiting in self._line if _is_over(waiting, now)]
            if expired:
                self._line = deque(
                    replace(waiting, refusal=_too_late(waiting, now)) if _is_over(waiting, now) else waiting
                    for waiting in self._line
                )
            return expired

    def rest(self) -> list[Waiting]:
        """Return all that is in the line."""
        with self._changed:
            return list(self._line)

    def _is_head(self, waiting: Waiting) -> bool:
        """Say whether *waiting* is still there: an expired head may have been dropped to make room."""
        return bool(self._line) and self._line[0] is waiting

    def _make_room(self, stop: threading.Event) -> None:
        """Drop what has expired; if nothing has, wait. Only at a stop does the line grow over its limit."""
        if not self._said_full:
            self._said_full = True
            log.error("spool.filled", limit=self._limit)
        kept = deque(waiting for waiting in self._line if not waiting.expired)
        dropped = len(self._line) - len(kept)
        if dropped:
            self._line = kept
            self._dropped += dropped
            log.error("signals.dropped", count=dropped, why="they expired and the spool is full")
        while len(self._line) >= self._limit and not stop.is_set():
            self._changed.wait(0.2)


def deadline(raw: Mapping[str, Any], *, received_at: datetime, entry_age: timedelta) -> datetime | None:
    """Return when *raw* is no use any more; None for what is or may be an exit, which does not expire.

    A SELL that leaves its intent open may close a position: only the broker's positions can tell.
    """
    action, intent = (str(raw.get(key) or "").lower() for key in ("action", "intent"))
    if intent == "close" or (action == "sell" and intent != "open"):
        return None
    generated_at = _time(raw.get("generated_at")) or received_at
    expires_at = _time(raw.get("expires_at"))
    return min(generated_at + entry_age, expires_at) if expires_at else generated_at + entry_age


def _waiting(item: Item, source: str, now: datetime, entry_age: timedelta) -> Waiting:
    if isinstance(item, Unreadable):
        refusal = Refusal(code=item.code, message=item.message)
        return Waiting(raw={"source": source, **item.raw}, received_at=now, refusal=refusal)
    raw = {**item, "source": item.get("source") or source}
    if raw.get("generated_at") is None:
        # Without it the record would take the moment of recording, and waiting here would not count as age.
        raw["generated_at"] = now.astimezone(UTC).isoformat()
    return Waiting(raw=raw, received_at=now, expires_at=deadline(raw, received_at=now, entry_age=entry_age))


def _is_over(waiting: Waiting, now: datetime) -> bool:
    return waiting.refusal is None and waiting.expires_at is not None and waiting.expires_at <= now


def _too_late(waiting: Waiting, now: datetime) -> Refusal:
    waited_s = (now - waiting.received_at).total_seconds()
    message = f"PostgreSQL was away until the signal had expired; it waited {waited_s:.0f} s"
    return Refusal(code=EXPIRED_UNRECORDED, message=message)


def _time(value: Any) -> datetime | None:
    """Read a time that has a zone; what is none is left to whoever validates the signal."""
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else None


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time by this machine's clock: the database's is away when it matters here."""
    return datetime.now(UTC)
