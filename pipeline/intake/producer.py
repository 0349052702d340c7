"""Take signals from the sources and hand them to the record, in order, through absences of PostgreSQL."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from pipeline.intake.buffer import Clock, Refusal, SignalBuffer, Waiting, utc_now
from pipeline.intake.sources.feed import Feed, SourceHealth
from pipeline.intake.sources.protocol import Item, Source
from pipeline.model.errors import InvalidSignal, QueueUnavailable, RecordUnavailable

log = structlog.get_logger(__name__)

#: Records a raw signal and has it executed. Raises `RecordUnavailable` when PostgreSQL is away: it is tried
#: again. Any other error is final for that signal.
Deliver = Callable[[Mapping[str, Any]], None]
#: Keeps what is not a signal: raw, code, message. Raises `RecordUnavailable` likewise.
Refuse = Callable[[Mapping[str, Any], str, str], None]

#: How many signals wait in memory at most: more than a day of the replay.
LIMIT = 100_000
#: How long an entry is good for, unless the executors give it longer.
ENTRY_AGE_S = 60.0

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
#: Seconds for polls under way to come back at a stop, and then for what they gave to be recorded.
_JOIN_S, _LAST_TRIES_S = 1.0, 2.0
_IDLE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class ProducerHealth:
    """How the producer is: *ok* only when every source answers and the record takes what they give."""

    ok: bool
    sources: Mapping[str, SourceHealth]
    record_away_since: datetime | None
    waiting: int
    dropped: int


class Producer:
    """A daemon: one thread per source, and the caller's thread to hand on what they give.

    Killed anywhere, it loses at most what PostgreSQL was away for; killed between a commit and its answer,
    the signal comes again with the same `source_id` and changes nothing.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        deliver: Deliver,
        refuse: Refuse,
        entry_age_s: float = ENTRY_AGE_S,
        limit: int = LIMIT,
        clock: Clock = utc_now,
    ) -> None:
        self._deliver = deliver
        self._refuse = refuse
        self._clock = clock
        self._buffer = SignalBuffer(limit=limit, entry_age=timedelta(seconds=entry_age_s))
        self._feeds = [Feed(source, self._put) for source in sources]
        self._stop = threading.Event()
        self._away_since: datetime | None = None
        self._tries = 0

    def run(self, stop: threading.Event) -> int:
        """Work until *stop*; return how many signals were left unrecorded.

        After *stop* it takes at most about three seconds, unless *deliver* itself takes longer.
        """
        self._stop = stop
        for feed in self._feeds:
            feed.start(stop)
        while not stop.is_set():
            if self._buffer.wait(_IDLE_S):
                self._hand_on_waiting(stop.is_set)
                if self._away_since is not None:
                    stop.wait(self._pause_s())
        return self._finish()

    def run_once(self) -> int:
        """Poll every source once and hand on what waits; return how much was settled."""
        for feed in self._feeds:
            feed.run_once(self._stop)
        return self._hand_on_waiting(lambda: False)

    @property
    def finished(self) -> bool:
        """Say whether every source has come to its end and all that it gave is settled."""
        return all(feed.ended for feed in self._feeds) and not len(self._buffer)

    def health(self) -> ProducerHealth:
        """Return how the producer is now. Any thread may ask."""
        sources = {feed.name: feed.health() for feed in self._feeds}
        away_since = self._away_since
        return ProducerHealth(
            ok=away_since is None and all(source.ok for source in sources.values()),
            sources=sources,
            record_away_since=away_since,
            waiting=len(self._buffer),
            dropped=self._buffer.dropped,
        )

    def _put(self, source: str, items: Sequence[Item]) -> None:
        self._buffer.put(items, source=source, now=self._clock(), stop=self._stop)

    def _hand_on_waiting(self, enough: Callable[[], bool]) -> int:
        """Settle from the head of the line for as long as the record takes it; return how much."""
        settled = 0
        while (waiting := self._buffer.head()) is not None and not enough():
            try:
                done = self._settle(waiting)
            except RecordUnavailable as exc:
                self._note_absence(exc)
                break
            self._note_return()
            if done:
                self._buffer.settle(waiting)
                settled += 1
        return settled

    def _settle(self, waiting: Waiting) -> bool:
        """Have one recorded, as a signal or as a refusal. False: it is now a refusal, to be recorded next.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        raw, refusal = waiting.raw, waiting.refusal
        try:
            if refusal is None:
                self._deliver(raw)
            else:
                self._refuse(raw, refusal.code, refusal.message)
        except RecordUnavailable:
            raise
        except InvalidSignal as exc:
            # Whoever refused it has said so; this names the source's own id of it.
            log.debug("signal.refused", **_names(raw), code=exc.code, message=str(exc))
        except QueueUnavailable:
            log.warning("signal.not_enqueued", **_names(raw), why="Redis is away; it is recorded")
        except Exception:
            log.exception("signal.failed", **_names(raw))
            return self._give_up_on(waiting)
        return True

    def _give_up_on(self, waiting: Waiting) -> bool:
        """Keep a signal that broke its delivery as a refusal; what cannot even be refused is in the log."""
        if waiting.refusal is not None:
            return True
        message = "recording it failed for a reason that is no absence; the producer's log has the trace"
        self._buffer.refuse(waiting, Refusal(code="internal_error", message=message))
        return False

    def _note_absence(self, exc: RecordUnavailable) -> None:
        self._tries += 1
        if self._away_since is None:
            self._away_since = self._clock()
            log.debug("record.lost", error=str(exc), waiting=len(self._buffer))
        for waiting in self._buffer.expire(self._clock()):
            log.error("signal.expired_unrecorded", **_names(waiting.raw), expired_at=waiting.expires_at)

    def _note_return(self) -> None:
        if self._away_since is not None:
            away_s = round((self._clock() - self._away_since).total_seconds(), 1)
            log.debug("record.regained", away_s=away_s, waiting=len(self._buffer))
        self._away_since, self._tries = None, 0

    def _pause_s(self) -> float:
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._tries - 1, 30))
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    def _finish(self) -> int:
        """Wait for polls under way, try what is left for a moment more, and say what remains."""
        polls_end = time.monotonic() + _JOIN_S
        for feed in self._feeds:
            feed.join(max(0.0, polls_end - time.monotonic()))
        tries_end = time.monotonic() + _LAST_TRIES_S
        while len(self._buffer) and time.monotonic() < tries_end:
            self._hand_on_waiting(lambda: time.monotonic() >= tries_end)
            if self._away_since is not None:
                time.sleep(min(self._pause_s(), max(0.0, tries_end - time.monotonic())))
        left = self._buffer.rest()
        for waiting in left:
            log.error("signal.left_unrecorded", **_names(waiting.raw))
        log.info("producer.stopped", left=len(left))
        return len(left)


def _names(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": raw.get("source"), "source_id": raw.get("source_id"), "symbol": raw.get("symbol")}
