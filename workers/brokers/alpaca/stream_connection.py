"""Open one connection to Alpaca's trade-update stream, log in, and notice when the server falls silent.

alpaca-py's own stream loses messages that it cannot parse, and notices a half-open connection only after three minutes.
"""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlsplit

import certifi
from pydantic import SecretStr
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection
from websockets.uri import parse_uri

from config.schema.addresses import host_of
from pipeline.model.errors import Unavailable

#: Closing waits this long for the server's answer, in seconds.
_CLOSES_WITHIN_S = 0.5
# While more frames wait to be recorded, the library reads nothing, not even the answer to a ping.
_MOST_WAITING_FRAMES = 1024
# An update has about two kilobytes. With the number above, waiting frames take 64 MiB at most.
_LONGEST_FRAME = 64 * 1024
_SCHEMES = {"http": "ws", "https": "wss"}
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_LONGEST_REPORT = 200

# The library writes every frame to its debug log, and the login holds the secret.
_QUIET = logging.getLogger("tradewire.stream")
_QUIET.setLevel(logging.WARNING)


class StreamCause(StrEnum):
    """The reasons for which a stream is not open."""

    UNREACHABLE = "unreachable"
    #: The login, or the request to listen, is refused.
    REFUSED = "refused"
    #: The broker accepts no further connection now.
    TOO_MANY = "too_many"
    SILENT = "silent"
    CLOSED = "closed"


class StreamDown(Unavailable):
    """The stream is not open. It is opened again after a pause."""

    def __init__(self, cause: StreamCause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, kw_only=True)
class StreamTiming:
    """The times of a connection, in seconds."""

    opens_within_s: float = 5.0
    #: The time between two pings; longer if the first is answered later.
    ping_every_s: float = 5.0
    #: A server that sends nothing for this long after a ping is silent.
    ping_timeout_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class StreamAddress:
    """Where an account's stream is, and the keys that open it."""

    url: str
    api_key: str
    api_secret: SecretStr

    def without_keys(self, text: str) -> str:
        """Return *text* without the keys, in case a server repeats them."""
        for key in (self.api_secret.get_secret_value(), self.api_key):
            text = text.replace(key, "***")
        return text


def stream_url(base_url: str) -> str:
    """Return the address of the stream at the host of *base_url*, which was checked for this mode.

    The host is written in the form in which it was checked, so that no other parser finds another host in it.
    """
    parts, host = urlsplit(base_url), host_of(base_url)
    name = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    path = parts.path.rstrip("/").removesuffix("/v2").rstrip("/")
    return f"{_SCHEMES[parts.scheme]}://{name}{port}{path}/stream"


class StreamConnection:
    """An open connection. It is used by one thread."""

    def __init__(self, websocket: ClientConnection, timing: StreamTiming) -> None:
        self._websocket = websocket
        self._timing = timing
        #: When the server last sent something, by the monotonic clock.
        self.heard_at = self._pinged_at = time.monotonic()
        self._pong: threading.Event | None = None

    def send(self, text: str) -> None:
        """Send one message.

        Raises:
            StreamDown: the connection is closed.
        """
        try:
            self._websocket.send(text)
        except ConnectionClosed as error:
            _raise_closed(error)

    def receive(self, within_s: float) -> str | bytes | None:
        """Return the next frame, or None if none comes in this time. Ping the server when that is due.

        Raises:
            StreamDown: the connection is closed, or the server answers no ping.
        """
        try:
            self._check_pulse()
            frame = self._websocket.recv(timeout=within_s)
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            _raise_closed(error)
        self.heard_at = time.monotonic()
        return frame

    def close(self) -> None:
        """Close the connection; a server that does not answer is not waited for."""
        with contextlib.suppress(WebSocketException, OSError):
            self._websocket.close()

    def _check_pulse(self) -> None:
        now = time.monotonic()
        if self._pong is not None and self._pong.is_set():
            self.heard_at, self._pong = now, None
        silent_s = self._timing.ping_timeout_s
        # Frames show that the server lives, too.
        if self._pong is not None and now - max(self._pinged_at, self.heard_at) > silent_s:
            raise StreamDown(StreamCause.SILENT, f"the broker answered no ping for {silent_s:g} s")
        if self._pong is None and now - self._pinged_at >= self._timing.ping_every_s:
            self._pong, self._pinged_at = self._websocket.ping(), now


@contextlib.contextmanager
def connected(address: StreamAddress, timing: StreamTiming) -> Iterator[StreamConnection]:
    """Connect for the time of the block. No proxy is used and no redirect is followed: the keys go to this host only.

    Raises:
        StreamDown: no connection can be made.
    """
    try:
        websocket = _open(address.url, timing.opens_within_s)
    except InvalidStatus as error:
        _raise_refused(error.response.status_code)
    # ValueError: the answer is not HTTP.
    except (OSError, EOFError, ValueError, InvalidHandshake, ConnectionClosed) as error:
        message = f"the broker's stream cannot be reached: {type(error).__name__}: {error}"
        raise StreamDown(StreamCause.UNREACHABLE, address.without_keys(message)[:_LONGEST_REPORT]) from None
    with websocket:
        connection = StreamConnection(websocket, timing)
        try:
            yield connection
        finally:
            connection.close()


def _open(url: str, within_s: float) -> ClientConnection:
    uri = parse_uri(url)
    plain = socket.create_connection((uri.host, uri.port), timeout=within_s)
    try:
        opened = _encrypted(plain, uri.host) if uri.secure else plain
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.settimeout(None)
        protocol = ClientProtocol(uri, logger=_QUIET, max_size=_LONGEST_FRAME)
        # This module sends the pings: the library's own pings do not show when they were answered.
        websocket = ClientConnection(
            opened, protocol, ping_interval=None, close_timeout=_CLOSES_WITHIN_S, max_queue=_MOST_WAITING_FRAMES
        )
    except BaseException:
        plain.close()
        raise
    try:
        websocket.handshake(user_agent_header="tradewire", timeout=within_s)
    except BaseException:
        websocket.close_socket()
        raise
    return websocket


def _encrypted(plain: socket.socket, host: str) -> socket.socket:
    # The same authorities as for the requests of alpaca-py.
    return ssl.create_default_context(cafile=certifi.where()).wrap_socket(plain, server_hostname=host)


def _raise_refused(status: int) -> NoReturn:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = "the broker accepts no further connection (429); another program may use this account's only stream"
        raise StreamDown(StreamCause.TOO_MANY, message) from None
    cause = StreamCause.REFUSED if status in _REFUSED else StreamCause.UNREACHABLE
    raise StreamDown(cause, f"the broker answers the request for the stream with {status}") from None


def _raise_closed(error: ConnectionClosed) -> NoReturn:
    code = f" with code {error.rcvd.code}" if error.rcvd is not None else ""
    raise StreamDown(StreamCause.CLOSED, f"the connection was closed{code}") from None
