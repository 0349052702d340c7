"""Find free ports on the loopback address, and reserve them against other processes that search at the same time."""

import fcntl
import os
import socket
import tempfile
from collections.abc import Collection
from pathlib import Path

LOOPBACK = "127.0.0.1"


def free_port(wanted: int = 0, *, besides: Collection[int] = ()) -> int:
    """Return *wanted* if it is free, else the next free port above it; 0 is any free one.

    Ports in *besides* count as taken.

    Raises:
        OSError: There is no free port.
    """
    for port in range(wanted, 65536) if wanted else [0] * 100:
        if port in besides:
            continue
        with socket.socket() as probe:
            # Like the servers: a port whose last connections are still closing counts as free.
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
    """Ports that this process has chosen for children that do not listen yet.

    Without a reservation two processes that start at once could choose the same port, and one child would never get it.
    A reservation is a lock on a file named after the port; it ends with the process, however that ends.
    """

    def __init__(self) -> None:
        self._locks: dict[int, int | None] = {}

    def take(self, wanted: int) -> int:
        """Reserve *wanted* if it is free, else the next free port above it; 0 is any free one.

        Raises:
            OSError: There is no free port.
        """
        taken = set(self._locks)
        while True:
            port = free_port(wanted, besides=taken)
            if self._lock(port):
                return port
            taken.add(port)

    def release(self) -> None:
        """Release all ports, as the end of the process does."""
        for file in self._locks.values():
            if file is not None:
                os.close(file)
        self._locks.clear()

    def _lock(self, port: int) -> bool:
        try:
            file = os.open(Path(tempfile.gettempdir()) / f"tradewire-port-{port}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            # The file belongs to another user. It cannot be locked, so only the check that the port is free is left.
            self._locks[port] = None
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._locks[port] = file
        return True
