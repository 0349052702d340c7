"""Limit what clients can hold of an HTTP server of ours: time, connections and descriptors."""

import asyncio
import resource
import time
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds. Most clients keep an idle connection for less: they close it first, and never send into a closed one.
_KEEP_ALIVE_S = 75
_MOST_CONNECTIONS = 1000
# asyncio accepts up to this many connections in one turn of its loop, and closes a refused one three turns later. If
# the descriptors ran out, it would log this many errors a second.
_BACKLOG = 128
_TURNS = 4
# Descriptors for PostgreSQL, Redis, brokers, logs and threads.
_OWN_DESCRIPTORS = 64
_FEWEST_CONNECTIONS = 32


def server_settings() -> dict[str, Any]:
    """Return the settings of uvicorn for every HTTP server of ours."""
    return {
        "http": LimitedHttp,
        "backlog": _BACKLOG,
        "limit_concurrency": most_connections() + 1,
        "timeout_keep_alive": _KEEP_ALIVE_S,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # uvicorn would believe any local program. The web process reads these headers itself (`ForwardedSenders`).
        "proxy_headers": False,
    }


def most_connections() -> int:
    """Return how many connections a server accepts at most, so that descriptors are left for its own work."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    spare = descriptors - _TURNS * _BACKLOG - _OWN_DESCRIPTORS
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, spare))


# uvicorn closes an idle connection only after its first request, and sets no time limit for receiving a request or for
# sending an answer.
class LimitedHttp(H11Protocol):
    """uvicorn's HTTP protocol that also closes slow connections, and an idle one when there are too many."""

    #: Seconds from the opening of the connection, or from the first byte of a later request, to the end of the headers.
    headers_within_s = 10.0
    #: Seconds from the end of the headers to the end of the body. Bodies are small.
    body_within_s = 20.0
    #: Seconds in which the client takes a part of an answer, beyond what the operating system keeps for it.
    taken_within_s = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._awaits_s: float | None = None
        self._answered = self._upgraded = False
        self._deadline: asyncio.TimerHandle | None = None
        self._taken_by: asyncio.TimerHandle | None = None
        self._idle_since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the time limit; make room when there are too many connections."""
        super().connection_made(transport)
        # Call `pause_writing` as soon as anything waits to be sent, not at 64 KiB: small answers wait too.
        transport.set_write_buffer_limits(high=0)
        self._watch()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent, and set the time limit for the part of the request that comes next."""
        super().data_received(data)
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the protocol of websockets, which has no end that could be waited for."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Remember since when the connection is idle, and wait for the next request."""
        self._answered, self._idle_since = True, time.monotonic()
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Start the time limit for the part of the answer that waits to be sent."""
        super().pause_writing()
        self._taken_by = self.loop.call_later(self.taken_within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """End this limit: the client has taken everything."""
        super().resume_writing()
        self._end_taking()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time limits."""
        self._await(None)
        self._end_taking()
        super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        return self.conn.our_state is h11.IDLE and self.conn.their_state is h11.IDLE

    def _end_taking(self) -> None:
        if self._taken_by is not None:
            self._taken_by.cancel()
            self._taken_by = None

    def _watch(self) -> None:
        if self._upgraded:
            # h11 goes on waiting for the body of the request.
            self._await(None)
        elif self.conn.their_state is h11.SEND_BODY:
            self._await(self.body_within_s)
        elif self._idle and (not self._answered or self.conn.trailing_data[0]):
            self._await(self.headers_within_s)
        else:
            self._await(None)

    # The time counts from the beginning of the headers or of the body. A byte that arrives later does not extend it.
    def _await(self, within_s: float | None) -> None:
        if within_s == self._awaits_s:
            return
        self._awaits_s = within_s
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if within_s is None else self.loop.call_later(within_s, self.transport.abort)

    # Close the connection that has been idle for longest: no request is lost, and its client can open another. If none
    # is idle, close the new one.
    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, LimitedHttp) and each is not self]
        idle = [each for each in others if each._idle]  # noqa: SLF001 - of this class
        closed = min(idle, key=lambda each: each._idle_since, default=self)  # noqa: SLF001
        self.connections.discard(closed)
        closed.transport.abort()
