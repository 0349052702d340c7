"""Run one task of the keeper at its interval, and go on after it fails."""

import random
import threading
import time
from collections.abc import Callable

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.errors import NotPossible, Unavailable

log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S = 2.0
_BACKOFF = Backoff(first_s=0.2, longest_s=_LONGEST_PAUSE_S)


class PeriodicTask(threading.Thread):
    """A thread that runs *task* every *every_s* seconds while *leads* returns True.

    The task returns the number of things that it did, or None. After a run that did something, the next run follows at
    once, unless the task is *paced*. After any exception, the task runs again after a pause of at most 2 s.
    `Unavailable` and `NotPossible` are only in the debug log.
    """

    def __init__(
        self,
        name: str,
        every_s: float,
        task: Callable[[], int | None],
        *,
        stop: threading.Event,
        leads: Callable[[], bool],
        paced: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._every_s = every_s
        self._task = task
        self._paced = paced
        self._stop_asked = stop
        self._leads = leads
        self._failures = 0
        self.last_good_at: float | None = None
        # Until the first success, delays count from here: from the start of the thread, or of the leadership.
        self._begun_at: float | None = None
        #: The class of the error with which the last run failed; None after a success.
        self.failure: type[Exception] | None = None

    def behind_s(self, now: float) -> float:
        """Return by how many seconds the next success is late at *now* (monotonic); 0 before the thread has started."""
        times = [at for at in (self._begun_at, self.last_good_at) if at is not None]
        return max(now - max(times) - self._every_s, 0.0) if times else 0.0

    def run(self) -> None:
        """Run the task until *stop* is set."""
        self._begun_at = time.monotonic()
        while not self._stop_asked.is_set():
            if self._leads():
                pause_s = self._run_task()
            else:
                # A task that may not run is not late.
                pause_s, self._begun_at, self.failure = self._every_s, time.monotonic(), None
            self._stop_asked.wait(pause_s)

    def _run_task(self) -> float:
        """Run the task once and return the pause before the next run, in seconds."""
        try:
            done = self._task()
        except (Unavailable, NotPossible) as error:
            log.debug("keeper.waits", task=self.name, error=str(error))
            self._failures += 1
            self.failure = type(error)
            return _BACKOFF.after(self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 -- not a secret
        except Exception as error:
            log.exception("keeper.task_failed", task=self.name)
            self.failure = type(error)
            return _LONGEST_PAUSE_S
        self.last_good_at = time.monotonic()
        self._failures, self.failure = 0, None
        return 0.0 if done and not self._paced else self._every_s
