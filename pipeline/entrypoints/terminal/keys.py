"""Read single keys from a terminal."""

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

UP, DOWN, TAB, ENTER, ESCAPE, BACK = "up", "down", "tab", "enter", "escape", "back"
_ARROWS = {"A": UP, "B": DOWN}
_NAMED = {"\t": TAB, "\r": ENTER, "\n": ENTER, "\x7f": BACK, "\b": BACK, "j": DOWN, "k": UP}


@contextmanager
def unbuffered(descriptor: int) -> Iterator[None]:
    """Deliver each key at once and without an echo; restore the terminal at the end, also after an error."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)  # Not raw mode, so that Ctrl-C remains a signal.
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class Keys:
    """The keys of one terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = ""

    def next(self, wait_s: float, *, text: bool = False) -> str | None:
        """Return the next key by its name or letter, or None after *wait_s* seconds.

        With *text*, the keys j and k are letters, not arrows.

        Raises:
            EOFError: the terminal is gone.
        """
        if not self._waiting and not self._read(wait_s):
            return None
        key, self._waiting = self._waiting[0], self._waiting[1:]
        if key == "\x1b":
            return self._escape()
        return key if text and key in "jk" else _NAMED.get(key, key)

    def _escape(self) -> str:
        # An arrow is the escape byte and two more; after the escape key alone no byte follows.
        if (self._waiting or self._read(0.05)) and self._waiting[0] in "[O":
            if len(self._waiting) > 1 or self._read(0.05):
                arrow, self._waiting = self._waiting[1], self._waiting[2:]
                return _ARROWS.get(arrow, ESCAPE)
            self._waiting = ""
        return ESCAPE

    def _read(self, wait_s: float) -> bool:
        if not select.select([self._descriptor], [], [], wait_s)[0]:
            return False
        try:
            read = os.read(self._descriptor, 1024)
        except OSError:
            read = b""
        if not read:
            raise EOFError
        self._waiting += read.decode("utf-8", "ignore")
        return bool(self._waiting)
