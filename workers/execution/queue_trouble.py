"""Notice that the queue does not bring a worker its jobs, so that the worker's heartbeat can report it."""

import threading
import time
from dataclasses import dataclass, field

# Failures that last for less are a cut connection or a restart of Redis.
_LASTS_S = 3.0
# The keeper enqueues what waits again within this time after Redis is back.
_SETTLED_S = 5.0
# Long enough for the keeper's checks of the queues, so that each lost job leads to an alert.
_REPORTED_S = 15.0


@dataclass(kw_only=True)
class QueueTrouble:
    """The trouble of one worker with its queue. Safe to use from any thread."""

    _failing_since: float | None = None
    _error: str = ""
    _reading_since: float = field(default_factory=time.monotonic)
    _read_nothing: bool = False
    _missed_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record_failure(self, error: object) -> None:
        """Count a try to read the queue that failed."""
        with self._lock:
            self._error = str(error)[:300]
            if self._failing_since is None:
                self._failing_since = time.monotonic()

    def record_read(self, *, job: bool) -> None:
        """Count a successful try, with or without a job."""
        with self._lock:
            self._read_nothing = not job
            if self._failing_since is not None:
                self._failing_since, self._reading_since = None, time.monotonic()

    def record_missed(self) -> None:
        """Count an execution that waited, although it was enqueued several times. A queue with jobs explains that."""
        with self._lock:
            settled = self._failing_since is None and time.monotonic() - self._reading_since >= _SETTLED_S
            if settled and self._read_nothing:
                self._missed_at = time.monotonic()

    def sentence(self) -> str | None:
        """Return the trouble in a sentence without its subject, the worker; None while there is none."""
        now = time.monotonic()
        with self._lock:
            if self._failing_since is not None and now - self._failing_since >= _LASTS_S:
                return f"cannot read its queue ({self._error})"
            if now - self._missed_at < _REPORTED_S:
                return "does not get its jobs: another client of Redis takes or deletes them"
        return None
