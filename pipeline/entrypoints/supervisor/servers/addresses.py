"""Find free ports on the loopback address, and keep other processes from taking them."""

import contextlib
import socket
from collections.abc import Collection

from pipeline.startup.listening import may_share_port

LOOPBACK = "127.0.0.1"


def free_port(wanted: int = 0, *, besides: Collection[int] = ()) -> int:
    """Return *wanted* if it is free, else the next free port above it. For 0, return any free port.

    Ports in *besides* count as taken.

    Raises:
        OSError: There is no free port.
    """
    for port in range(wanted, 65536) if wanted else [0] * 100:
        if port in besides:
            continue
        with socket.socket() as probe:
            # The servers set this too: with it, a port whose last connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            if found not in besides:
                return found
    raise OSError(f"no free port from {wanted} upwards")


class Reservations:
    """Ports that this process has chosen for its children, and holds until it ends, however it ends.

    On Linux each port is bound by a socket that never listens. Only sockets of the same user that set SO_REUSEPORT can
    share it, so other processes do not get the port before the child listens or while the child is restarted. In that
    time, connections are refused.
    """

    def __init__(self) -> None:
        self._held: dict[int, list[socket.socket]] = {}

    def take(self, wanted: int) -> int:
        """Reserve *wanted* if it is free, else the next free port above it. For 0, reserve any free port.

        Raises:
            OSError: There is no free port.
        """
        passed = set(self._held)
        while True:
            port = free_port(wanted, besides=passed)
            if self._hold(port):
                return port
            passed.add(port)

    def release(self) -> None:
        """Release all ports, as the end of the process does."""
        for held in self._held.values():
            _close(held)
        self._held.clear()

    def _hold(self, port: int) -> bool:
        held: list[socket.socket] = []
        self._held[port] = held
        if not may_share_port():
            return True  # Another process may still take the port; then the child does not come up.
        try:
            # Two `up`s of one user could bind the same port, so also bind an abstract name, which has one owner.
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].bind(f"\0tradewire-port-{port}")
            held.append(socket.socket())
            held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held[-1].bind((LOOPBACK, port))
        except OSError:
            _close(held)
            del self._held[port]
            return False
        return True


def _close(held: list[socket.socket]) -> None:
    for one in held:
        with contextlib.suppress(OSError):
            one.close()
