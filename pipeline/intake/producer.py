"""Take signals from the sources and record them in order, also when PostgreSQL is away for a while."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from pipeline.intake.buffer import BufferedInput, Refusal, SignalBuffer
from pipeline.intake.sources.feed import Feed, SourceHealth
from pipeline.intake.sources.protocol import Item, Source
from pipeline.model.backoff import Backoff
from pipeline.model.errors import InvalidSignal, QueueUnavailable, RecordUnavailable

log = structlog.get_logger(__name__)

#: Records a raw signal and enqueues its executions; the second argument is the time since the signal was received.
#: After `RecordUnavailable` it is called again; any other error is final for that signal.
Deliver = Callable[[Mapping[str, Any], timedelta], None]
#: Records input that is not a signal: raw, code, message. After `RecordUnavailable` it is called again.
Refuse = Callable[[Mapping[str, Any], str, str], None]

#: At most this many signals wait in memory: more than the replay sends in a day.
LIMIT = 100_000

_BACKOFF = Backoff(first_s=0.1, longest_s=2.0)
#: After a stop, polls in progress have the first number of seconds to return, and all waiting signals then have the
#: second number of seconds to be recorded.
_JOIN_S, _LAST_TRIES_S = 1.0, 2.0
_IDLE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class ProducerHealth:
    """The health of the producer: *ok* when every source answers and PostgreSQL records their signals."""

    ok: bool
    sources: Mapping[str, SourceHealth]
    record_is_away: bool
    waiting: int


class Producer:
    """A daemon: one thread per source, and the caller's thread, which records their signals.

    When it is killed, it loses at most the signals that are not recorded yet. A signal whose commit was not
    confirmed is delivered again with the same `source_id`, which does not record it twice.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        deliver: Deliver,
        refuse: Refuse,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliver = deliver
        self._refuse = refuse
        self._clock = clock
        self._buffer = SignalBuffer(limit=limit)
        self._feeds = [Feed(source, self._put) for source in sources]
        self._stop = threading.Event()
        self._away_since: float | None = None
        self._tries = 0

    def run(self, stop: threading.Event) -> int:
        """Record signals until *stop* is set; return the number of signals that could not be recorded.

        It returns at most about 3 s after that, unless *deliver* or *refuse* itself takes longer.
        """
        self._stop = stop
        for feed in self._feeds:
            feed.start(stop)
        while not stop.is_set():
            if self._buffer.wait(_IDLE_S):
                self._settle_waiting(stop.is_set)
                if self._away_since is not None:
                    stop.wait(self._pause_s())
        return self._finish()

    def run_once(self) -> int:
        """Poll every source once and record the waiting inputs; return how many were recorded or given up."""
        for feed in self._feeds:
            feed.run_once(self._stop)
        return self._settle_waiting(lambda: False)

    @property
    def finished(self) -> bool:
        """Return whether every source has ended and all its signals were recorded or given up."""
        return all(feed.ended for feed in self._feeds) and not len(self._buffer)

    def health(self) -> ProducerHealth:
        """Return the health of the producer. Thread-safe."""
        sources = {feed.name: feed.health() for feed in self._feeds}
        is_away = self._away_since is not None
        return ProducerHealth(
            ok=not is_away and all(source.ok for source in sources.values()),
            sources=sources,
            record_is_away=is_away,
            waiting=len(self._buffer),
        )

    def _put(self, source: str, items: Sequence[Item]) -> None:
        self._buffer.put(items, source=source, now=self._clock(), stop=self._stop)

    def _settle_waiting(self, stop: Callable[[], bool]) -> int:
        """Settle inputs from the head until PostgreSQL is away or *stop* returns True; return their number."""
        settled = 0
        while (waiting := self._buffer.head()) is not None and not stop():
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

    # Returns False when the input became a refusal, which the next call records.
    def _settle(self, waiting: BufferedInput) -> bool:
        raw, refusal = waiting.raw, waiting.refusal
        try:
            if refusal is None:
                self._deliver(raw, timedelta(seconds=self._clock() - waiting.received_at))
            else:
                self._refuse(raw, refusal.code, refusal.message)
        except RecordUnavailable:
            raise
        except InvalidSignal as exc:
            # The refusal itself is logged where it is recorded; this line adds the signal's `source_id`.
            log.debug("signal.refused", **_ids(raw), code=exc.code, message=str(exc))
        except QueueUnavailable:
            log.warning("signal.not_enqueued", **_ids(raw), why="Redis is away; the signal is recorded")
        except Exception:
            log.exception("signal.failed", **_ids(raw))
            return self._give_up(waiting)
        return True

    # A refusal that cannot be recorded is only logged: otherwise it would be tried for ever.
    def _give_up(self, waiting: BufferedInput) -> bool:
        if waiting.refusal is not None:
            return True
        message = "recording the signal failed, and PostgreSQL was not away; the producer's log has the trace"
        self._buffer.refuse(waiting, Refusal(code="internal_error", message=message))
        return False

    def _note_absence(self, exc: RecordUnavailable) -> None:
        self._tries += 1
        if self._away_since is None:
            self._away_since = self._clock()
            log.debug("record.lost", error=str(exc), waiting=len(self._buffer))

    def _note_return(self) -> None:
        if self._away_since is not None:
            away_s = round(self._clock() - self._away_since, 1)
            log.debug("record.regained", away_s=away_s, waiting=len(self._buffer))
        self._away_since, self._tries = None, 0

    def _pause_s(self) -> float:
        return _BACKOFF.after(self._tries) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    def _finish(self) -> int:
        """Wait for polls in progress, spend up to 2 s on recording the waiting inputs, and log those that remain."""
        polls_end = time.monotonic() + _JOIN_S
        for feed in self._feeds:
            feed.join(max(0.0, polls_end - time.monotonic()))
        tries_end = time.monotonic() + _LAST_TRIES_S
        while len(self._buffer) and time.monotonic() < tries_end:
            self._settle_waiting(lambda: time.monotonic() >= tries_end)
            if self._away_since is not None:
                time.sleep(min(self._pause_s(), max(0.0, tries_end - time.monotonic())))
        left = self._buffer.rest()
        for waiting in left:
            log.error("signal.left_unrecorded", **_ids(waiting.raw))
        log.info("producer.stopped", left=len(left))
        return len(left)


def _ids(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": raw.get("source"), "source_id": raw.get("source_id"), "symbol": raw.get("symbol")}
