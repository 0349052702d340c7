"""Keep a log file per child, and pick from it what a person should see at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: A log that is larger when its process starts is put aside as `<name>.log.1`, over the one before it.
_ROTATE_AT = 5_000_000
#: The same complaint of the same process is not said again for this long.
_QUIET_S = 60.0
#: A line that is longer is not ours.
_LONGEST_LINE = 1_000_000
_LOUD = frozenset({"error", "critical"})
#: What every line bears; it is no news on the console.
_USUAL = frozenset({"event", "level", "timestamp", "logger", "process", "exception", "stack"})


def open_log(folder: Path, name: str) -> Path:
    """Return the log file of the process called *name*, having put a large one aside."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size > _ROTATE_AT:
        path.replace(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    return path


class LogTail:
    """Read what was added to a log file, and give the complaints in it once."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_up_to = path.stat().st_size if path.exists() else 0
        self._said: dict[str, float] = {}

    def complaints(self) -> Iterator[str]:
        """Return each new line at level error or above as a sentence, unless its event was said lately."""
        for line in self._new_lines():
            entry = _entry(line)
            if entry.get("level") not in _LOUD:
                continue
            event, now = str(entry.get("event")), self._clock()
            if now - self._said.get(event, float("-inf")) >= _QUIET_S:
                self._said[event] = now
                yield _sentence(entry)

    def last_words(self) -> str:
        """Return the last line that says something: of a crash that is the exception."""
        with self._path.open("rb") as log:
            log.seek(max(0, self._path.stat().st_size - 4000))
            lines = log.read().decode(errors="replace").splitlines()
        spoken = [line.strip() for line in lines if line.strip()]
        if not spoken:
            return ""
        entry = _entry(spoken[-1].encode())
        return _sentence(entry) if entry else spoken[-1]

    def _new_lines(self) -> Iterator[bytes]:
        if self._path.stat().st_size < self._read_up_to:
            # It was put aside and begun anew.
            self._read_up_to = 0
        with self._path.open("rb") as log:
            log.seek(self._read_up_to)
            while line := log.readline(_LONGEST_LINE):
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    # Still being written.
                    return
                self._read_up_to += len(line)
                yield line


def _entry(line: bytes) -> dict[str, Any]:
    if not line.startswith(b"{"):
        return {}
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _sentence(entry: dict[str, Any]) -> str:
    facts = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _USUAL)
    last = str(entry.get("exception", "")).strip().splitlines()[-1:]
    return " ".join(part for part in [str(entry.get("event")), facts, *last] if part)
