"""Real HTTP receivers of alerts, for apprise's json:// scheme, and the settings of alerts in tests."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from config.alerts import Alerts, AlertSettings


class Receiver:
    """Accepts messages at 127.0.0.1, and refuses them while `down` is set, as a failing service does."""

    def __init__(self, *, down: bool = False, on_message: Callable[[], None] = lambda: None) -> None:
        self.down = down
        self.messages: list[dict[str, Any]] = []
        self.refused = 0
        self.asked: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.down:
                    receiver.refused += 1
                else:
                    receiver.messages.append(json.loads(body) | {"at": time.monotonic()})
                    on_message()
                self.send_response(503 if receiver.down else 200)
                self.end_headers()

            def do_GET(self) -> None:
                receiver.asked.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return the URL for messages, which contains a secret."""
        return f"json://bot:s3cr3t-token@127.0.0.1:{self.port}/"

    @property
    def bodies(self) -> list[str]:
        return [str(message["message"]) for message in self.messages]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def receiving(count: int = 1, **how: Any) -> Iterator[list[Receiver]]:
    receivers = [Receiver(**how) for _ in range(count)]
    try:
        yield receivers
    finally:
        for receiver in receivers:
            receiver.close()


def alerts_at(channels: Mapping[str, str], **settings: Any) -> Alerts:
    """Return alert settings with these channels, and without a pause between messages unless *settings* set one."""
    read = AlertSettings(**{"channels": tuple(channels), "group_s": 1} | settings)
    return Alerts(settings=read, channels={name: SecretStr(url) for name, url in channels.items()}, deadman=None)
