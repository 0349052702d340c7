"""Keep a log file per child, and find the errors in it that a person should see at once."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: A log with more bytes is moved to `<name>.log.1`, in place of an older one.
_ROTATE_AT = 5_000_000
#: Seconds for which the same error of the same process is not returned again.
_REPEAT_AFTER_S = 60.0
#: A line with more bytes is not one of our log entries.
_LONGEST_LINE = 1_000_000
_ERROR_LEVELS = frozenset({"error", "critical"})
#: Fields of an entry that the console does not show as `key=value`.
_COMMON_FIELDS = frozenset({"event", "level", "timestamp", "logger", "process", "exception", "stack"})


def open_log(folder: Path, name: str) -> Path:
    """Return the log file of the process called *name*; a large one is moved away first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    path.touch(mode=0o600)
    rotate_large(path)
    return path


def rotate_large(path: Path) -> bool:
    """Move the content of a large log to `<name>.log.1`, also while its process writes; return whether it was large.

    The process goes on writing to the same file, which is open for appending. A line that it writes between the copy
    and the deletion of the old content is lost.
    """
    if path.stat().st_size <= _ROTATE_AT:
        return False
    before = path.with_suffix(".log.1")
    # On a full disk the copy fails. The old content is deleted all the same, which frees space.
    with contextlib.suppress(OSError):
        before.unlink(missing_ok=True)
        before.touch(mode=0o600)
        with path.open("rb") as old, before.open("wb") as new:
            shutil.copyfileobj(old, new)
    os.truncate(path, 0)
    return True


class LogTail:
    """Reads the lines that are added to a log file."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._offset = path.stat().st_size if path.exists() else 0
        self._returned_at: dict[str, float] = {}

    def errors(self) -> Iterator[str]:
        """Return each new entry of level error or above as a sentence; the same event at most once a minute.

        A log that has become large is rotated afterwards.
        """
        for line in self._new_lines():
            entry = _entry(line)
            if entry.get("level") not in _ERROR_LEVELS:
                continue
            event, now = str(entry.get("event")), self._clock()
            if now - self._returned_at.get(event, float("-inf")) >= _REPEAT_AFTER_S:
                self._returned_at[event] = now
                yield _sentence(entry)
        if rotate_large(self._path):
            self._offset = 0

    def last_line(self) -> str:
        """Return the last line that is not blank; after a crash that is the exception."""
        with self._path.open("rb") as log:
            log.seek(max(0, self._path.stat().st_size - 4000))
            lines = log.read().decode(errors="replace").splitlines()
        written = [line.strip() for line in lines if line.strip()]
        if not written:
            return ""
        entry = _entry(written[-1].encode())
        return _sentence(entry) if entry else written[-1]

    def _new_lines(self) -> Iterator[bytes]:
        if self._path.stat().st_size < self._offset:
            # The log was rotated, as when its process was started again.
            self._offset = 0
        with self._path.open("rb") as log:
            log.seek(self._offset)
            while line := log.readline(_LONGEST_LINE):
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    # The line is not complete yet.
                    return
                self._offset += len(line)
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
    facts = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _COMMON_FIELDS)
    last = str(entry.get("exception", "")).strip().splitlines()[-1:]
    return " ".join(part for part in [str(entry.get("event")), facts, *last] if part)
