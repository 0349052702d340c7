"""Wait for a stop request, the end of a child, or data on a descriptor."""

import select
import signal
import socket
from collections.abc import Iterable
from types import FrameType


class Wakeups:
    """Counts stop signals for a loop. Create one, in the main thread, before the first child is started."""

    def __init__(self) -> None:
        #: The number of SIGTERM, SIGINT and SIGHUP signals so far.
        self.stop_requests = 0
        self._waker, self._wake = socket.socketpair()
        self._wake.setblocking(False)  # noqa: FBT003 - the signature is Python's
        signal.set_wakeup_fd(self._wake.fileno())
        for stop_signal in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(stop_signal, self._count_stop)
        # A handler, even an empty one, makes the signal end the wait; the loop then checks its children.
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wait(self, seconds: float, descriptors: Iterable[int] = ()) -> list[int]:
        """Wait until a signal arrives or *seconds* are over; return the *descriptors* that have data to read."""
        readable, _, _ = select.select([self._waker.fileno(), *descriptors], [], [], max(seconds, 0))
        if self._waker.fileno() in readable:
            self._waker.recv(4096)
            readable.remove(self._waker.fileno())
        return readable

    def _count_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1
