"""A real HTTP receiver of events, which answers as a test wants."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECRET = "a-secret-of-the-tests"
Answer = Callable[["EventReceiver", BaseHTTPRequestHandler], int]


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A request that came, and the status with which it was answered."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)
        return found

    @property
    def is_signed(self) -> bool:
        message = self.headers["Tradewire-Timestamp"].encode() + b"." + self.body
        expected = hmac.new(SECRET.encode(), message, "sha256").hexdigest()
        return self.headers["Tradewire-Signature"] == f"v1={expected}"


def status(code: int, **headers: str) -> Answer:
    """Answer with *code* and *headers*, and no body."""

    def answer(_: EventReceiver, handler: BaseHTTPRequestHandler) -> int:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        return code

    return answer


def silence(receiver: EventReceiver, _: BaseHTTPRequestHandler) -> int:
    """Answer nothing until the test ends."""
    receiver.closing.wait(60)
    return 0


def drips(receiver: EventReceiver, handler: BaseHTTPRequestHandler) -> int:
    """Send a header again and again, and never the end of the headers."""
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not receiver.closing.wait(0.05):
            handler.wfile.write(b"X-Still: here\r\n")
    return 0


def endless(receiver: EventReceiver, handler: BaseHTTPRequestHandler) -> int:
    """Answer 200 with a body that has no end."""
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not receiver.closing.is_set():
            handler.wfile.write(b"x" * 65536)
    return 200


def nonsense(_: EventReceiver, handler: BaseHTTPRequestHandler) -> int:
    """Answer with bytes that are not HTTP."""
    handler.wfile.write(b"no such thing\r\n\r\n")
    return 0


@dataclass(kw_only=True)
class EventReceiver:
    """Keeps every request that comes to 127.0.0.1."""

    answer: Answer = field(default_factory=lambda: status(200))
    posted: list[Posted] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    #: Called when a request has come, before it is answered.
    on_post: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.on_post()
                code = receiver.answer(receiver, self)
                receiver.posted.append(Posted(path=self.path, headers=dict(self.headers), body=body, status=code))

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hush-hush/"

    @property
    def taken(self) -> list[dict[str, Any]]:
        """Return the events of all requests that were answered with 200, in the order of their arrival."""
        return [event for request in self.posted if request.status == 200 for event in request.events]

    @property
    def ids(self) -> list[int]:
        return [event["event_id"] for event in self.taken]

    def environment(self, folder: Path, *, more: str = "") -> dict[str, str]:
        """Write alerts.toml, and return the variables with which a keeper sends its events here."""
        path = folder / "alerts.toml"
        path.write_text(f'{more}\n[events]\nurl = "{self.url}"\n')
        return {"TRADEWIRE_ALERTS": str(path), "TRADEWIRE_EVENTS_SECRET": SECRET}

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def event_receiver(**how: Any) -> Iterator[EventReceiver]:
    receiver = EventReceiver(**how)
    try:
        yield receiver
    finally:
        receiver.close()
