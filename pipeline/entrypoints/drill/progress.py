"""Report the progress of a drill."""

from typing import Protocol


class DrillProgress(Protocol):
    """Receives the progress of a drill. It is called often, from the thread that drills."""

    def step(self, name: str, total: int) -> None:
        """Begin the step *name*. It is complete when *total* units are done."""

    def advance(self, done: int, remark: str = "") -> None:
        """Show that *done* units are done. *remark* is a count to show beside that, such as `3 undecided`."""
