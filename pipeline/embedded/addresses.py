"""Find free ports on the loopback address."""

from __future__ import annotations

import socket
from collections.abc import Collection

LOOPBACK = "127.0.0.1"


def free_port(wanted: int = 0, *, besides: Collection[int] = ()) -> int:
    """Return *wanted* if it is free, else the next free port above it; 0 is any free one.

    Ports in *besides* count as taken: they were given away and are not listened to yet.

    Raises:
        OSError: There is no free port.
    """
    for port in range(wanted, 65536) if wanted else [0] * 100:
        if port in besides:
            continue
        with socket.socket() as probe:
            # As the servers do: a port is not taken because its last user's connections are still closing.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            if found not in besides:
                return found
    raise OSError(f"no free port from {wanted} upwards")
