"""Slow the polls down when an account's requests run short, instead of failing."""

from __future__ import annotations

import time

from pipeline.model.errors import BudgetUsedUp

# With so much room, every round of the keeper polls.
_PLENTY = 30
_LONGEST_GAP_S = 15.0
# Orders that the broker may have without our knowing are searched for in the whole list so often.
_SWEEP_EVERY_S = 30.0


class PollInterval:
    """When one executor's orders are asked for next."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._sweep_at = 0.0

    def is_due(self) -> bool:
        """Say whether to poll in this round."""
        return time.monotonic() >= self._next_at

    def polled(self, *, left: int | None) -> None:
        """Remember a poll that left room for so many requests in this minute; None is without a limit."""
        self._next_at = time.monotonic() + gap_s(left)

    def refused(self, error: BudgetUsedUp) -> None:
        """Remember a poll that had no room."""
        self._next_at = time.monotonic() + min(error.wait_s, _LONGEST_GAP_S)

    def sweep_is_due(self) -> bool:
        """Say whether the whole list is due, and count from now."""
        now = time.monotonic()
        if now < self._sweep_at:
            return False
        self._sweep_at = now + _SWEEP_EVERY_S
        return True


def gap_s(left: int | None) -> float:
    """Return the seconds until the next poll: what is left is spread over the minute."""
    if left is None or left >= _PLENTY:
        return 0.0
    return min(60.0 / max(left, 1), _LONGEST_GAP_S)
