"""A tracker's stream in this process, and a proxy that can go silent in front of the exchange."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.model.backoff import Backoff
from tests.factories import Core, until
from workers.brokers.alpaca.stream_connection import StreamTiming
from workers.tracker.account_stream import AccountStream
from workers.tracker.process import stream_addresses
from workers.tracker.stream_state import StreamState
from workers.tracker.update_recorder import UpdateRecorder

QUICK = StreamTiming(opens_within_s=2.0, ping_every_s=0.1, ping_timeout_s=0.3)


def a_stream(
    core: Core, *, url: str | None = None, timing: StreamTiming = QUICK, stop: threading.Event | None = None
) -> AccountStream:
    """Return the stream of argo's account, at *url* if that is given."""
    address = stream_addresses(core.executors, settings=core.settings, exchange_url=url or core.exchange.url)["argo"]
    return AccountStream(
        address=address,
        recorder=UpdateRecorder(record=core.record, executor_id="argo", who="test tracker"),
        state=StreamState(core.record, "argo"),
        leads=lambda: True,
        stop=stop or threading.Event(),
        timing=timing,
        backoff=Backoff(first_s=0.05, longest_s=0.2),
    )


@contextlib.contextmanager
def running(stream: AccountStream) -> Iterator[None]:
    """Run the stream in a thread for the time of the block."""
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.stop.set()
        thread.join(10)
        assert not thread.is_alive()


@contextlib.contextmanager
def tracking(core: Core, **options: Any) -> Iterator[None]:
    """Run argo's stream; the block begins when it is open."""
    with running(a_stream(core, **options)):
        until(lambda: stream_row(core)["state"] == "listening")
        yield


def stream_row(core: Core) -> dict[str, Any]:
    """Return what the record has about argo's stream; every value is None while there is nothing."""
    found = core.rows("SELECT * FROM stream WHERE executor_id = 'argo'")
    return found[0] if found else dict.fromkeys(("state", "problem", "connected_at", "poll_reason"))


@dataclass
class MuteProxy:
    """Forwards TCP connections to *port*. `mute` makes the present ones half-open for the client."""

    port: int
    _clients: list[socket.socket] = field(default_factory=list)
    _servers: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def mute(self) -> None:
        """End the present connections at the server's side only; new ones are forwarded again."""
        _shut(self._servers)
        self._servers.clear()

    def close(self) -> None:
        _shut([self._listener, *self._clients, *self._servers])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                self._clients.append(client)
                self._servers.append(server)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=ends, daemon=True).start()


def _shut(sockets: list[socket.socket]) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
