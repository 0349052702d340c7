"""Read signals from a file or from standard input, once, from the beginning to the end.

A signal without a `source_id` gets one made of the file's name, the signal's position in the file and its content, so
that reading the same file again trades nothing twice. Standard input gets new ids at each reading. Two equal signals
on two lines are two signals.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EPERM
from hashlib import sha256
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, BinaryIO
from uuid import uuid4

from config.schema.ownership import open_safe, ownership_problem
from pipeline.intake.sources.protocol import UNREADABLE_TEXT, Item, SourceContext, Unreadable
from pipeline.intake.sources.reading import ParsedLine, bounded_lines, read_signals
from pipeline.model.errors import ConfigInvalid, Problem, SourceUnavailable

STANDARD_INPUT = "-"
#: The code with which a line that is not a JSON object is refused.
INVALID_JSON = "invalid_json"

_BATCH = 500
#: Seconds after which a waiting thread checks whether it should stop.
_CHECK_EVERY_S = 0.25
_STANDARD_INPUT_FD = 0


class _End:
    """The end of reading; *fault* is set when reading failed before the end of the file."""

    def __init__(self, fault: OSError | None = None) -> None:
        self.fault = fault


class FileSource:
    """The signals of one file. A thread reads ahead, because reading standard input may block."""

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
        """Whether the last line has been returned."""
        return self._finished

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Return the next signals, at most a few hundred.

        Raises:
            SourceUnavailable: Reading failed. The next poll starts again from the beginning.
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
        """Ask the reading thread to end, without waiting for it: reading standard input may block for ever."""
        self._closed.set()

    # Items that were read before the fault are returned first, and the next poll raises the fault.
    def _raise_fault(self, *, unless: Sequence[Item]) -> None:
        if self._fault is not None and not unless:
            fault, self._fault = self._fault, None
            raise SourceUnavailable(f"{self._path} cannot be read: {fault.strerror}")

    def _begin(self) -> None:
        # Standard input cannot be read again, so each reading has new ids, and its signals never count as sent again.
        self._prefix = f"stdin-{uuid4().hex[:12]}" if self._path == STANDARD_INPUT else _printable(self._path)
        self._count = 0
        self._reader = threading.Thread(target=self._read_ahead, name="file-reader", daemon=True)
        self._reader.start()

    def _next(self, *, wait: bool) -> ParsedLine | _End | None:
        try:
            return self._read.get(timeout=_CHECK_EVERY_S) if wait else self._read.get_nowait()
        except Empty:
            return None

    def _item(self, parsed: ParsedLine) -> Item:
        self._count += 1
        content = parsed.error if parsed.value is None else _canonical(parsed.value)
        digest = sha256(f"{content}".encode()).hexdigest()[:16]
        source_id = f"{self._prefix}:{self._count}:{digest}"
        if parsed.value is None:
            return Unreadable(
                raw={
                    "source": self.name,
                    "source_id": source_id,
                    "path": self._path,
                    "line": parsed.line,
                    UNREADABLE_TEXT: parsed.text,
                },
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
        while not self._closed.is_set():
            try:
                self._read.put(read, timeout=_CHECK_EVERY_S)
            except Full:
                continue
            return True
        return False


_VARIABLE = "TRADEWIRE_SOURCE_FILE"


def open_source(context: SourceContext) -> FileSource:
    """Return the source for the file that *context* names. The file is opened at the first poll.

    Raises:
        ConfigInvalid: No file is named, it does not exist, it is a folder, or another user can write it.
    """
    path = context.path
    if not path:
        raise ConfigInvalid([Problem(key=_VARIABLE, message="the source file needs a path, or - for standard input")])
    if path != STANDARD_INPUT and (not Path(path).exists() or Path(path).is_dir()):
        raise ConfigInvalid([Problem(key=_VARIABLE, message=f"{path} is not a file")])
    if path != STANDARD_INPUT and (problem := ownership_problem(Path(path))) is not None:
        raise ConfigInvalid([Problem(key=_VARIABLE, message=str(problem))])
    return FileSource(path)


# Standard input gets a new buffer: a reader that blocks on the buffer of `sys.stdin` would hold its lock at exit.
@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == STANDARD_INPUT:
        with open(_STANDARD_INPUT_FD, "rb", closefd=False) as stream:
            yield stream
    else:
        with _own(path) as stream:
            yield stream


def _own(path: str) -> BinaryIO:
    try:
        return open_safe(Path(path))
    except ConfigInvalid as error:
        raise PermissionError(EPERM, "; ".join(map(str, error.problems))) from error


def _printable(path: str) -> str:
    return re.sub(r"[^\w.-]", "_", Path(path).name)[-100:]


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str)
