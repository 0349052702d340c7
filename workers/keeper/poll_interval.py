"""Poll less often when an account's request budget runs short."""

import time

from pipeline.model.errors import BudgetUsedUp

# With at least this many requests left in the minute, every run of the keeper polls.
_PLENTY = 30
_LONGEST_GAP_S = 15.0
# The interval of a longer list of orders, which also shows orders that the broker may have without our knowing.
_SWEEP_EVERY_S = 30.0


class PollInterval:
    """The time of the next poll of one executor's orders."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._sweep_at = 0.0

    def is_due(self) -> bool:
        """Return whether to poll now."""
        return time.monotonic() >= self._next_at

    def polled(self, *, left: int | None) -> None:
        """Schedule the next poll after one that left *left* requests in this minute; None: there is no limit."""
        self._next_at = time.monotonic() + gap_s(left)

    def refused(self, error: BudgetUsedUp) -> None:
        """Schedule the next poll after one that the request budget refused."""
        self._next_at = time.monotonic() + min(error.wait_s, _LONGEST_GAP_S)

    def sweep_is_due(self) -> bool:
        """Return whether to read the longer list, and start the next interval if so."""
        now = time.monotonic()
        if now < self._sweep_at:
            return False
        self._sweep_at = now + _SWEEP_EVERY_S
        return True


def gap_s(left: int | None) -> float:
    """Return the seconds until the next poll: if few requests are left, they are spread over a minute."""
    if left is None or left >= _PLENTY:
        return 0.0
    return min(60.0 / max(left, 1), _LONGEST_GAP_S)
