"""Decide when to read an account's list of activities again. The callers' clock is monotonic, in seconds."""

from datetime import UTC, datetime
from typing import Final

from pipeline.model.backoff import Backoff

#: The list shows a fill a moment after the order does, and fills that follow at once share a request.
FIRST_AFTER_S: Final = 2.0
SHORTEST_GAP_S: Final = 10.0
LONGEST_GAP_S: Final = 900.0
_PAUSES: Final = Backoff(first_s=SHORTEST_GAP_S, longest_s=LONGEST_GAP_S)


class FillPace:
    """The time of the next request of one executor for its list of activities."""

    def __init__(self) -> None:
        #: The newest fill that was missing in the list when it was read.
        self.seen = datetime(1970, 1, 1, tzinfo=UTC)
        self._read_at = -SHORTEST_GAP_S
        self._fruitless = 0

    def is_due(self, waited_s: float | None, *, now: float) -> bool:
        """Return whether to read the list.

        Args:
            waited_s: how long ago the first fill was recorded that was not missing at the last reading; None: there is
                no such fill, and the pauses between the readings grow.
            now: the time.
        """
        passed = now - self._read_at
        if waited_s is None:
            return passed >= _PAUSES.after(self._fruitless)
        return waited_s >= FIRST_AFTER_S and passed >= SHORTEST_GAP_S

    def read(self, newest: datetime, *, now: float) -> None:
        """Note a reading, at which *newest* was the newest fill that was missing."""
        self._fruitless = 1 if newest > self.seen else self._fruitless + 1
        self.seen = max(newest, self.seen)
        self._read_at = now
