"""Poll less often when an account's request budget runs short, and while its trade-update stream is open."""

import time
from dataclasses import dataclass
from datetime import datetime

from pipeline.model.errors import BudgetUsedUp

# With at least this many requests left in the minute, every run of the keeper polls.
_PLENTY = 30
_LONGEST_GAP_S = 15.0
# The interval of a longer list of orders, which also shows orders that the broker may have without our knowing.
_SWEEP_EVERY_S = 30.0
#: The interval while the stream is open. A stream may lose events, so this is how long an order may stay unnoticed.
STREAMED_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class StreamReading:
    """The state of the account's stream, as the tracker has recorded it."""

    #: Whether the stream is open and has brought something lately.
    alive: bool
    #: When the tracker last asked for a poll.
    poll_requested_at: datetime | None


#: While no tracker ran, nothing is known of a stream.
NO_STREAM = StreamReading(alive=False, poll_requested_at=None)


class PollInterval:
    """The time of the next poll of one executor's orders."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._sweep_at = 0.0
        self._polled_at = float("-inf")
        self._answered: datetime | None = None

    def is_due(self, stream: StreamReading = NO_STREAM) -> bool:
        """Return whether to poll now."""
        now = time.monotonic()
        is_asked = stream.poll_requested_at not in (None, self._answered)
        if stream.alive and not is_asked and now < self._polled_at + STREAMED_EVERY_S:
            return False
        return now >= self._next_at

    def polled(self, *, left: int | None, stream: StreamReading = NO_STREAM) -> None:
        """Schedule the next poll after one that left *left* requests in this minute; None: there is no limit.

        *stream* is the reading that was made before the poll, so that a request during the poll leads to another one.
        """
        self._polled_at = time.monotonic()
        self._next_at = self._polled_at + gap_s(left)
        self._answered = stream.poll_requested_at

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
