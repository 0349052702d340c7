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
    """The time of the next request of one executor for its list of activities.

    Fills that are missing for the first time are read soon. Those that the list did not show are read again after
    pauses that grow, because they may be old, and then the list is long.
    """

    def __init__(self) -> None:
        #: The newest fill that was missing when the list was read.
        self.seen = datetime(1970, 1, 1, tzinfo=UTC)
        self._not_shown = self.seen
        self._asked_at = -SHORTEST_GAP_S
        self._all_asked_at = -SHORTEST_GAP_S
        # In a row: readings that failed, and readings of everything that is missing.
        self._failed = 0
        self._fruitless = 0

    def is_due(self, waited_s: float | None, *, now: float) -> bool:
        """Return whether to read the list.

        Args:
            waited_s: how long ago the first fill was recorded that was not missing at the last reading; None: there is
                no such fill.
            now: the time.
        """
        if waited_s is None:
            return self.reads_all(now=now)
        return waited_s >= FIRST_AFTER_S and now - self._asked_at >= _PAUSES.after(max(self._failed, 1))

    def reads_all(self, *, now: float) -> bool:
        """Return whether the fills that the list did not show are due again, too."""
        return now - self._all_asked_at >= _PAUSES.after(self._fruitless)

    def not_shown(self, newest: datetime | None) -> None:
        """Note the newest fill that is missing although the list was read for it; None: there is none.

        If it is another one than before, the pauses begin again.
        """
        if newest is not None and newest > self._not_shown:
            self._not_shown = newest
            self._fruitless, self._all_asked_at = 1, self._asked_at

    def asks(self, *, everything: bool, now: float) -> None:
        """Note a request, for *everything* that is missing or only for what was not missing before."""
        self._asked_at = now
        self._failed += 1
        if everything:
            self._all_asked_at = now
            self._fruitless += 1

    def read(self, newest: datetime) -> None:
        """Note that the list was read to its end, and that *newest* was the newest fill that was missing."""
        self._failed = 0
        self.seen = max(newest, self.seen)
