"""Poll one source for as long as the producer runs, through its failures, and know how it is."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.intake.sources.protocol import Item, Source
from pipeline.model.errors import TradewireError

log = structlog.get_logger(__name__)

#: Seconds between tries of a source that raises.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
#: A poll may wait for news, but one that takes longer than this is stuck.
_STUCK_S = 30.0
#: So many cadences without a signal are worth a warning: one minute of the replay.
_SILENT_CADENCES = 12


@dataclass(frozen=True, kw_only=True)
class SourceHealth:
    """How a source is. Times are of this machine's clock."""

    ok: bool
    last_signal_at: datetime | None
    #: When a poll last returned, with news or without.
    last_poll_at: datetime | None
    failing_since: datetime | None
    error: str | None
    #: No signal for a minute's worth of its rhythm. It may be right; somebody should look.
    silent: bool
    finished: bool


class Feed:
    """Runs one source in a thread and hands on what it gives, in order."""

    def __init__(self, source: Source, hand_on: Callable[[str, Sequence[Item]], None]) -> None:
        self._source = source
        self._hand_on = hand_on
        self._failures = 0
        self._failing_since: datetime | None = None
        self._error: str | None = None
        self._last_signal_at: datetime | None = None
        self._last_poll_at: datetime | None = None
        self._polled_at: float | None = None
        self._heard_at = time.monotonic()
        self._said_silent = False
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._stop: threading.Event | None = None

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def finished(self) -> bool:
        """Say whether the source has come to its end."""
        return self._source.finished

    @property
    def ended(self) -> bool:
        """Say whether the thread was started and is over: nothing will be handed on any more."""
        return self._ended.is_set()

    def start(self, stop: threading.Event) -> None:
        """Poll in a thread until *stop* or the source's end; then close the source."""
        self._stop = stop
        self._heard_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(stop,), name=f"source-{self.name}", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, at most *timeout_s*; one that is stuck dies with the process."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def run_once(self, stop: threading.Event) -> int:
        """Poll once and hand on what came; return how much. A source that raises is noted, not passed on."""
        self._polled_at = time.monotonic()
        try:
            items = self._source.poll(stop)
        except Exception as exc:  # noqa: BLE001 - a source is anybody's code, and the daemon outlives it
            self._note_failure(exc)
            return 0
        finally:
            self._polled_at = None
        self._note_answer(items)
        if items:
            self._hand_on(self.name, items)
        return len(items)

    def close(self) -> None:
        """Close the source."""
        try:
            self._source.close()
        except Exception as exc:  # noqa: BLE001 - the same
            log.warning("source.not_closed", source=self.name, error=type(exc).__name__)

    def health(self) -> SourceHealth:
        """Return how the source is now."""
        fault = self._error or self._fault_of_thread()
        return SourceHealth(
            ok=fault is None,
            last_signal_at=self._last_signal_at,
            last_poll_at=self._last_poll_at,
            failing_since=self._failing_since,
            error=fault,
            silent=self._is_silent(),
            finished=self.finished,
        )

    def _run(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set() and not self.finished:
                self.run_once(stop)
                self._say_silence()
                stop.wait(self._pause_s())
        finally:
            self.close()
            self._ended.set()
            log.info("source.ended", source=self.name, finished=self.finished)

    def _pause_s(self) -> float:
        if not self._failures:
            return self._source.pause_s
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 30))
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    def _note_failure(self, exc: Exception) -> None:
        self._failures += 1
        known = isinstance(exc, TradewireError)
        self._error = str(exc) if known else type(exc).__name__
        if self._failing_since is None:
            self._failing_since = datetime.now(UTC)
            # What our own errors say is enough; of others the trace is logged, and health shows the class only.
            log.warning("source.failed", source=self.name, error=self._error, exc_info=None if known else exc)

    def _note_answer(self, items: Sequence[Item]) -> None:
        now = datetime.now(UTC)
        if self._failing_since is not None:
            failed_s = round((now - self._failing_since).total_seconds(), 1)
            log.info("source.recovered", source=self.name, failed_s=failed_s, failures=self._failures)
        self._failures, self._failing_since, self._error = 0, None, None
        self._last_poll_at = now
        if items:
            self._last_signal_at = now
            self._heard_at = time.monotonic()
            self._said_silent = False

    def _is_silent(self) -> bool:
        if not self._source.cadence_s or self.finished:
            return False
        return time.monotonic() - self._heard_at > _SILENT_CADENCES * self._source.cadence_s

    def _say_silence(self) -> None:
        if self._is_silent() and not self._said_silent:
            self._said_silent = True
            log.warning("source.silent", source=self.name, cadence_s=self._source.cadence_s)

    def _fault_of_thread(self) -> str | None:
        if self._thread is None or self._stop is None or self._stop.is_set() or self.finished:
            return None
        if self.ended:
            return "its thread has ended"
        polled_at = self._polled_at
        if polled_at is not None and time.monotonic() - polled_at > _STUCK_S:
            return f"it has not answered for more than {_STUCK_S:.0f} s"
        return None
