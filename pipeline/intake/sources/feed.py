"""Poll one source for as long as the producer runs, also after the source has failed, and report its health."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.intake.sources.protocol import Item, Source
from pipeline.model.backoff import Backoff
from pipeline.model.errors import TradewireError

log = structlog.get_logger(__name__)

#: The pauses between polls of a source that raises.
_BACKOFF = Backoff(first_s=0.2, longest_s=5.0)
#: A poll may wait for new signals, but one that takes longer than this is stuck.
_STUCK_S = 30.0
#: A source that has given no signal for this many cadences is silent: one minute of the replay.
SILENT_CADENCES = 12


@dataclass(frozen=True, kw_only=True)
class SourceHealth:
    """The health of a source. Times are of this machine's clock."""

    ok: bool
    last_signal_at: datetime | None
    #: When a poll last returned, with signals or without.
    last_poll_at: datetime | None
    failing_since: datetime | None
    error: str | None
    #: True if the source has given no signal for 12 cadences. That may be right, but a person should check.
    silent: bool
    finished: bool


class Feed:
    """Polls one source in a thread and passes its items on, in order."""

    def __init__(self, source: Source, hand_on: Callable[[str, Sequence[Item]], None]) -> None:
        self._source = source
        self._hand_on = hand_on
        self._failures = 0
        self._failing_since: datetime | None = None
        self._error: str | None = None
        self._last_signal_at: datetime | None = None
        self._last_poll_at: datetime | None = None
        self._polled_at: float | None = None
        self._signal_at = time.monotonic()
        self._silence_logged = False
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._stop: threading.Event | None = None

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def finished(self) -> bool:
        """Return whether the source has no more signals to give."""
        return self._source.finished

    @property
    def ended(self) -> bool:
        """Return whether the thread has ended, so that no further items will come."""
        return self._ended.is_set()

    def start(self, stop: threading.Event) -> None:
        """Poll in a thread until *stop* or the source's end; then close the source."""
        self._stop = stop
        self._signal_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(stop,), name=f"source-{self.name}", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended, at most *timeout_s*. A stuck thread ends with the process."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def run_once(self, stop: threading.Event) -> int:
        """Poll once and pass the items on; return their number. `health` reports an exception of the source."""
        self._polled_at = time.monotonic()
        try:
            items = self._source.poll(stop)
        except Exception as exc:  # noqa: BLE001 - a source may raise anything, and the daemon goes on
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
        """Return the health of the source."""
        fault = self._error or self._thread_fault()
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
                self._log_silence()
                stop.wait(self._pause_s())
        finally:
            self.close()
            self._ended.set()
            log.info("source.ended", source=self.name, finished=self.finished)

    def _pause_s(self) -> float:
        if not self._failures:
            return self._source.pause_s
        return _BACKOFF.after(self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    def _note_failure(self, exc: Exception) -> None:
        self._failures += 1
        known = isinstance(exc, TradewireError)
        self._error = str(exc) if known else type(exc).__name__
        if self._failing_since is None:
            self._failing_since = datetime.now(UTC)
            # Our own errors need no traceback. Other errors are logged with one, and health shows only their class.
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
            self._signal_at = time.monotonic()
            self._silence_logged = False

    def _is_silent(self) -> bool:
        if not self._source.cadence_s or self.finished:
            return False
        return time.monotonic() - self._signal_at > SILENT_CADENCES * self._source.cadence_s

    def _log_silence(self) -> None:
        if self._is_silent() and not self._silence_logged:
            self._silence_logged = True
            log.warning("source.silent", source=self.name, cadence_s=self._source.cadence_s)

    def _thread_fault(self) -> str | None:
        if self._thread is None or self._stop is None or self._stop.is_set() or self.finished:
            return None
        if self.ended:
            return "its thread has ended"
        polled_at = self._polled_at
        if polled_at is not None and time.monotonic() - polled_at > _STUCK_S:
            return f"it has not answered for more than {_STUCK_S:.0f} s"
        return None
