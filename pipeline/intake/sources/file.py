"""Read signals from a file or from standard input, once, from the beginning to the end.

A signal without a `source_id` gets one of the file's name, its number in the file and its content, so that
the same file read again trades nothing twice. Two equal signals that are both meant go on two lines of it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, BinaryIO
from uuid import uuid4

from pipeline.intake.sources.protocol import Item, SourceContext, Unreadable
from pipeline.intake.sources.reading import ParsedLine, bounded_lines, read_signals
from pipeline.model.errors import ConfigInvalid, Problem, SourceUnavailable

STANDARD_INPUT = "-"
#: The code of the refusal of a line that is no signal.
INVALID_JSON = "invalid_json"

_BATCH = 500
#: Seconds in which a waiting thread sees that it should stop.
_LOOK_UP_S = 0.25
_STANDARD_INPUT_FD = 0


class _End:
    """Comes after the last line; *fault* is set when reading broke off."""

    def __init__(self, fault: OSError | None = None) -> None:
        self.fault = fault


class FileSource:
    """The signals of one file. A thread reads ahead, because standard input may keep a reader waiting."""

    name = "file"
    cadence_s = 0.0
    pause_s = 0.0

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: Queue[ParsedLine | _End] = Queue(maxsize=_BATCH)
        self._closed = threading.Event()
        self._reader: threading.Thread | None = None
        self._prefix = ""
        self._count = 0
        self._finished = False
        self._fault: OSError | None = None

    @property
    def finished(self) -> bool:
        """True after the last line."""
        return self._finished

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Return the next signals, at most a few hundred.

        Raises:
            SourceUnavailable: Reading broke off. The next poll begins anew.
        """
        self._raise_fault(unless=())
        if self._reader is None and not self._finished:
            self._begin()
        items: list[Item] = []
        while len(items) < _BATCH:
            read = self._next(wait=not items and not stop.is_set())
            if isinstance(read, ParsedLine):
                items.append(self._item(read))
                continue
            if isinstance(read, _End):
                self._reader, self._fault, self._finished = None, read.fault, read.fault is None
            break
        self._raise_fault(unless=items)
        return items

    def close(self) -> None:
        """Let the reading thread end. It is not waited for: standard input may never give it a line."""
        self._closed.set()

    def _raise_fault(self, *, unless: Sequence[Item]) -> None:
        """Raise what reading broke off with, but first let go out what was read before."""
        if self._fault is not None and not unless:
            fault, self._fault = self._fault, None
            raise SourceUnavailable(f"{self._path} cannot be read: {fault.strerror}")

    def _begin(self) -> None:
        # What came through standard input does not come again: another run must not be taken for a repeat.
        self._prefix = f"stdin-{uuid4().hex[:12]}" if self._path == STANDARD_INPUT else _printable(self._path)
        self._count = 0
        self._reader = threading.Thread(target=self._read_ahead, name="file-reader", daemon=True)
        self._reader.start()

    def _next(self, *, wait: bool) -> ParsedLine | _End | None:
        try:
            return self._read.get(timeout=_LOOK_UP_S) if wait else self._read.get_nowait()
        except Empty:
            return None

    def _item(self, parsed: ParsedLine) -> Item:
        self._count += 1
        content = parsed.error if parsed.value is None else _canonical(parsed.value)
        digest = sha256(f"{content}".encode()).hexdigest()[:16]
        source_id = f"{self._prefix}:{self._count}:{digest}"
        if parsed.value is None:
            return Unreadable(
                raw={"source": self.name, "source_id": source_id, "path": self._path, "line": parsed.line},
                code=INVALID_JSON,
                message=f"line {parsed.line}: {parsed.error}",
            )
        if parsed.value.get("source_id") is None:
            return {**parsed.value, "source_id": source_id}
        return parsed.value

    def _read_ahead(self) -> None:
        end = _End()
        try:
            with _opened(self._path) as stream:
                for parsed in read_signals(bounded_lines(stream)):
                    if not self._hand_over(parsed):
                        return
        except OSError as exc:
            end = _End(exc)
        self._hand_over(end)

    def _hand_over(self, read: ParsedLine | _End) -> bool:
        """Wait until there is room. False: nobody wants it any more."""
        while not self._closed.is_set():
            try:
                self._read.put(read, timeout=_LOOK_UP_S)
            except Full:
                continue
            return True
        return False


def open_source(context: SourceContext) -> FileSource:
    """Open the file that *context* names.

    Raises:
        ConfigInvalid: No file is named, or there is none.
    """
    path = context.path
    if not path:
        raise ConfigInvalid([Problem(key="path", message="the file source needs a path, or - for standard input")])
    if path != STANDARD_INPUT and (not Path(path).exists() or Path(path).is_dir()):
        raise ConfigInvalid([Problem(key="path", message=f"{path} is not a file")])
    return FileSource(path)


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Open *path* for reading; standard input through a buffer of our own.

    The interpreter's own buffer would be locked by a waiting reader when the interpreter ends.
    """
    if path == STANDARD_INPUT:
        with open(_STANDARD_INPUT_FD, "rb", closefd=False) as stream:
            yield stream
    else:
        with Path(path).open("rb") as stream:
            yield stream


def _printable(path: str) -> str:
    return re.sub(r"[^\w.-]", "_", Path(path).name)[-100:]


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str)
