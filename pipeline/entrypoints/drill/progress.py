"""Report the progress of a drill."""

from typing import Protocol


class DrillProgress(Protocol):
    """Receives the progress of a drill. It is called often, from the thread that drills."""

    def step(self, name: str, total: int) -> None:
        """Begin the step *name*, which is done at *total*."""

    def advance(self, done: int, remark: str = "") -> None:
        """Show how far the step is, with a remark about what was done last."""
