"""Write log lines to a stream, and limit how much one place of the code writes in a minute."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

#: The bytes that one line of code may log in a minute, so that neither an attack nor a repeated fault fills the disk
#: quickly. A counted minute begins with a line, so any 60 s touch at most two of them, and hold at most a megabyte.
MOST_A_MINUTE = 500_000
_MINUTE_S = 60.0


@dataclass
class _Written:
    began_at: float
    bytes: int = 0
    left_out: int = 0


class LimitedHandler(logging.StreamHandler[TextIO]):
    """A handler that drops lines above the limit. It logs once that lines are dropped, and later how many were."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._written: dict[tuple[str, int], _Written] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* if it is within the limit, and the notes about dropped lines when they are due."""
        try:
            for line in self._lines(record):
                self.stream.write(line + self.terminator)
            self.flush()
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as in logging: no line may end the program
            self.handleError(record)

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        place, now = (record.pathname, record.lineno), self._clock()
        written = self._written.setdefault(place, _Written(now))
        if now - written.began_at >= _MINUTE_S:
            if written.left_out:
                yield self._said(record, f"{written.left_out} lines like the next one were left out")
            written = self._written[place] = _Written(now)
        line = self.format(record)
        size = len((line + self.terminator).encode("utf-8", "replace"))
        if written.bytes + size <= MOST_A_MINUTE:
            written.bytes += size
            yield line
            return
        written.left_out += 1
        if written.left_out == 1:
            yield self._said(
                record, f"lines like the last one are left out: they had {MOST_A_MINUTE} bytes in a minute"
            )

    def _said(self, record: logging.LogRecord, text: str) -> str:
        return self.format(logging.LogRecord(record.name, logging.WARNING, __file__, 0, text, None, None))
