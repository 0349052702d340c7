"""Run one task of the keeper again and again, through its failures, at its own pace."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog

from pipeline.model.errors import NotPossible, Unavailable

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0


class PeriodicTask(threading.Thread):
    """Runs one task again and again at its pace; what is away is waited out, and said by whoever asked it."""

    def __init__(
        self,
        name: str,
        every_s: float,
        task: Callable[[], int],
        *,
        stop: threading.Event,
        leads: Callable[[], bool],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._every_s = every_s
        self._task = task
        self._stop_asked = stop
        self._leads = leads
        self.last_good_at: float | None = None

    def behind_s(self, now: float) -> float:
        """Return by how many seconds its next round is late at *now* (monotonic); 0 before its first."""
        return 0.0 if self.last_good_at is None else max(now - self.last_good_at - self._every_s, 0.0)

    def run(self) -> None:
        """Run until stopped. A task that moved something runs again at once."""
        pause = _FIRST_PAUSE_S
        while not self._stop_asked.is_set():
            moved = 0
            if self._leads():
                try:
                    moved = self._task()
                except (Unavailable, NotPossible) as error:
                    log.debug("keeper.waits", task=self.name, error=str(error))
                    self._stop_asked.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret
                    pause = min(pause * 2, _LONGEST_PAUSE_S)
                    continue
                except Exception:
                    log.exception("keeper.task_failed", task=self.name)
                    self._stop_asked.wait(_LONGEST_PAUSE_S)
                    continue
                self.last_good_at = time.monotonic()
                pause = _FIRST_PAUSE_S
            self._stop_asked.wait(0.0 if moved else self._every_s)
