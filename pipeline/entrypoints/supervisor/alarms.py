"""Print which processes crash again and again, and which run and do not answer."""

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from pipeline.entrypoints.supervisor.child import Child
from pipeline.model.errors import TradewireError

#: The interval at which the line about the same process is repeated.
_REPEATED_EVERY_S = 60.0


class ProcessCrashes(TradewireError):
    """A process crashes again and again, and `up` is strict."""


class ProcessAlarms:
    """Prints lines with *alarm* while something is wrong, and one with *report* when a process answers again."""

    def __init__(
        self, logs: Path, *, alarm: Callable[[str], None], report: Callable[[str], None], strict: bool
    ) -> None:
        self._logs = logs
        self._alarm = alarm
        self._report = report
        self._strict = strict
        self._alarmed_at: dict[str, float] = {}
        self._silent: set[str] = set()

    def report_crashes(self, crashing: Iterable[Child]) -> None:
        """Print a line for each process that crashes; raise ProcessCrashes if `up` is strict."""
        for child in crashing:
            text = f"{child.line.name} CRASHES AGAIN AND AGAIN; {self._log_of(child)}"
            if self._strict:
                raise ProcessCrashes(text)
            self._say(child.line.name, text)

    def report_silence(self, silent: Iterable[Child], *, answered: Collection[str]) -> None:
        """Print a line for each process that runs and does not answer, and one when it has *answered* again."""
        for child in silent:
            self._silent.add(child.line.name)
            self._say(child.line.name, f"{child.line.name} RUNS AND DOES NOT ANSWER; {self._log_of(child)}")
        for name in self._silent & set(answered):
            self._silent.discard(name)
            self._alarmed_at.pop(name, None)
            self._report(f"{name} answers again")

    def _say(self, name: str, text: str) -> None:
        now = time.monotonic()
        if now - self._alarmed_at.get(name, float("-inf")) >= _REPEATED_EVERY_S:
            self._alarmed_at[name] = now
            self._alarm(text)

    def _log_of(self, child: Child) -> str:
        return f"{self._logs}/{child.line.name}.log: {child.last_line()}"
