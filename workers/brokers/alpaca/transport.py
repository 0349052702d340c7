"""Send HTTP requests within a deadline that a slow server cannot extend.

The read timeout of `requests` counts from one received byte to the next, so a server that sends one byte a
second can hold a request without limit. Here the timeout is one deadline for the whole answer, its
headers included. A failure before the first byte of a request was sent is a `ConnectTimeoutError` or
its subclass `NewConnectionError`, so that "certainly not sent" is distinct from "perhaps sent".
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Kept-alive connections per broker. If more threads send at once, each opens a connection for a single request.
KEPT_CONNECTIONS = 32


class _Incoming(io.RawIOBase):
    """The receiving end of *sock*, readable until *deadline* (monotonic seconds)."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _UntilDeadline:
    """The part of a socket that `http.client.HTTPResponse` uses: a file from which to read the answer."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._deadline))


def _read_answer(sock: socket.socket, *, deadline: float, **options: Any) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(_UntilDeadline(sock, deadline), **options)  # type: ignore[arg-type]


class _Bounded(HTTPConnection):
    """A connection whose whole answer, headers and body, must arrive within the read timeout."""

    def connect(self) -> None:
        try:
            super().connect()
        except ConnectTimeoutError:
            raise
        except (OSError, ssl.SSLError) as exc:
            # A TLS handshake that fails would otherwise look like a failed read of an answer.
            raise NewConnectionError(self, type(exc).__name__) from exc

    def getresponse(self) -> Any:
        assert isinstance(self.timeout, (int, float))
        deadline = time.monotonic() + self.timeout
        self.response_class = partial(_read_answer, deadline=deadline)  # type: ignore[assignment]
        return super().getresponse()


class _BoundedTls(_Bounded, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class DeadlineAdapter(HTTPAdapter):
    """A `requests` transport with deadlines, which sends every request exactly once."""

    pools: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _TlsPool}

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=KEPT_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pools with our connections."""
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = self.pools
