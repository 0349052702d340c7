"""Wait for what may happen: a request to stop, the end of a child, something to read on a descriptor."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Iterable
from types import FrameType


class Wakeups:
    """Turn signals into counts that a loop looks at; make one, in the main thread, before the first child."""

    def __init__(self) -> None:
        #: How often this process was asked to stop.
        self.stops_asked = 0
        self._waker, self._wake = socket.socketpair()
        self._wake.setblocking(False)  # noqa: FBT003 - the signature is Python's
        signal.set_wakeup_fd(self._wake.fileno())
        for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(asked, self._ask_to_stop)
        # Nothing is to be done for it but to wake up: the loop looks at its children.
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wait(self, seconds: float, descriptors: Iterable[int] = ()) -> list[int]:
        """Wait at most *seconds*, not past a signal; return which *descriptors* have something to read."""
        readable, _, _ = select.select([self._waker.fileno(), *descriptors], [], [], max(seconds, 0))
        if self._waker.fileno() in readable:
            self._waker.recv(4096)
            readable.remove(self._waker.fileno())
        return readable

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stops_asked += 1
