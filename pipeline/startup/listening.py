"""Listen on a port that `up` reserves, and prove through a health route that `up` started this process."""

import os
import socket
import sys
from contextlib import ExitStack

from pipeline.model.errors import NotPossible

#: The environment variable with a number that `up` gives to its children. The number is not a secret.
NONCE = "TRADEWIRE_NONCE"
#: The header in which a health route returns this number.
NONCE_HEADER = "X-Tradewire-Nonce"


def listening_socket(host: str, port: int, *, backlog: int = 1024) -> socket.socket:
    """Return a socket that listens on *port* of *host*; 0 is any free port.

    Raises:
        NotPossible: the port is taken, or the host is not an address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        # asyncio disables Nagle's algorithm, which delays each answer by 40 ms, only if the socket's protocol is TCP.
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if may_share_port() and NONCE in os.environ:
                # `up` has bound the port too, without listening: so no other process takes it during a restart.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
            listener.listen(backlog)
            stack.pop_all()
            return listener
    except OSError as error:
        raise NotPossible(f"cannot listen on {host}:{port}: {error.strerror}") from error


def may_share_port() -> bool:
    """Return whether a user's sockets can share a port, so that only the listening one gets connections."""
    return sys.platform == "linux"


def nonce_header() -> dict[str, str]:
    """Return the header of a health route's answer; empty when `up` did not start this process."""
    nonce = os.environ.get(NONCE)
    return {} if nonce is None else {NONCE_HEADER: nonce}
