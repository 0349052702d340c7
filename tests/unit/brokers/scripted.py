"""Answer HTTP requests over real sockets with exactly the bytes, pauses and disconnects that a test sets."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: A certificate for 127.0.0.1 with its key, made for these tests only.
LOOPBACK_PEM = Path(__file__).with_name("loopback.pem")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


#: An act answers one request, and returns True to keep the connection. The event is set at the end of the test.
Act = Callable[[Seen, socket.socket, threading.Event], bool]


def reply(status: int, body: Any = None, /, **headers: str) -> Act:
    """Answer with *body*: text as it is, anything else as JSON."""
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    content = text.encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def raw(content: bytes, *, close: bool = False) -> Act:
    def act(_seen: Seen, sock: socket.socket, _over: threading.Event) -> bool:
        sock.sendall(content)
        return not close

    return act


def drip(start: bytes, *, every_s: float) -> Act:
    """Send *start*, and then a space every *every_s* seconds until the test ends."""

    def act(_seen: Seen, sock: socket.socket, over: threading.Event) -> bool:
        sock.sendall(start)
        while not over.wait(every_s):
            sock.sendall(b" ")
        return False

    return act


def silence(_seen: Seen, _sock: socket.socket, over: threading.Event) -> bool:
    over.wait()
    return False


def close(_seen: Seen, _sock: socket.socket, _over: threading.Event) -> bool:
    return False


def reset(_seen: Seen, sock: socket.socket, _over: threading.Event) -> bool:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


@dataclass
class ScriptedServer:
    """Run *script*, one act per request, and repeat the last act."""

    script: list[Act]
    tls: bool = False
    #: The bytes that a client gets as soon as it connects, instead of the script.
    greeting: bytes = b""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError):
            if self.greeting:
                sock.sendall(self.greeting)
                sock.close()
                return
            if self.tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(LOOPBACK_PEM)
                sock = context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            with sock, sock.makefile("rb") as incoming:
                while request := _read_request(incoming):
                    if not self._next(request)(request, sock, self._over):
                        break

    def _next(self, request: Seen) -> Act:
        with self._lock:
            self.seen.append(request)
            return self.script[min(len(self.seen), len(self.script)) - 1]


def _read_request(incoming: Any) -> Seen | None:
    words = incoming.readline().decode().split()
    if not words:
        return None
    headers = {}
    while line := incoming.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = incoming.read(int(headers.get("content-length", 0)))
    return Seen(method=words[0], target=words[1], headers=headers, body=body)


@contextmanager
def full_backlog() -> Iterator[str]:
    """Return the address of a port that accepts no connection, because its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for sock in waiting:
            sock.settimeout(0)
            sock.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for sock in waiting:
            sock.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
