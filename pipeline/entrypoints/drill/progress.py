"""What somebody may watch while a drill runs: which step it is in and how far that is."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is told how a drill gets on. Called often, from the thread that drills."""

    def step(self, what: str, total: int) -> None:
        """Say that *what* begins, whose end is *total*."""

    def at(self, done: int, remark: str = "") -> None:
        """Say how far the step is, and what was done last."""


class Nobody:
    """Nobody watches."""

    def step(self, what: str, total: int) -> None:
        """Ignore it."""

    def at(self, done: int, remark: str = "") -> None:
        """Ignore it."""
