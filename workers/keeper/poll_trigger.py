"""Run the poll of one executor's orders at its interval, and at once when the tracker asks for it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from workers.keeper.order_polling import OrderPolling

#: Between two polls of open orders. They slow down while the account's stream is open.
FOLLOW_EVERY_S = 2.0
#: However often the tracker asks, polls are at least this far apart.
REQUESTED_GAP_S = 1.0


@dataclass(kw_only=True)
class PollTrigger:
    """Decides when the poll runs. `run_once` is called far more often than it runs the poll."""

    polling: OrderPolling
    clock: Callable[[], float] = time.monotonic
    _ran_at: float = field(default=float("-inf"), init=False)
    _seen: datetime | None = field(default=None, init=False)

    def run_once(self) -> int:
        """Run the poll if it is due; return how many executions changed their state."""
        now = self.clock()
        if now < self._ran_at + REQUESTED_GAP_S:
            return 0
        requested_at = self.polling.stream().poll_requested_at
        if requested_at in (None, self._seen) and now < self._ran_at + FOLLOW_EVERY_S:
            return 0
        self._ran_at, self._seen = now, requested_at
        return self.polling.run_once()
