"""Serve the paper exchange on one port until SIGTERM or SIGINT."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.intake.sources.bars import load_bars
from pipeline.model.errors import NotPossible
from pipeline.startup.http_server import LimitedHttp, server_settings
from pipeline.startup.listening import listening_socket, nonce_header
from workers.exchange.clock import ClockMode, SessionClock
from workers.exchange.gateway import TRANSPORT, Gateway
from workers.exchange.journal import ExchangeJournal
from workers.exchange.request_checks import with_checks
from workers.exchange.routes_account import ROUTES as ACCOUNT_ROUTES
from workers.exchange.routes_activities import ROUTES as ACTIVITY_ROUTES
from workers.exchange.routes_admin import Admin
from workers.exchange.routes_bars import bars_routes
from workers.exchange.routes_history import ROUTES as HISTORY_ROUTES
from workers.exchange.routes_market import ROUTES as MARKET_ROUTES
from workers.exchange.routes_markets import ROUTES as CALENDAR_ROUTES
from workers.exchange.routes_orders import ROUTES as ORDER_ROUTES
from workers.exchange.routes_prices import ROUTES as PRICE_ROUTES
from workers.exchange.routes_watchlists import ROUTES as WATCHLIST_ROUTES
from workers.exchange.runtime import ExchangeRuntime
from workers.exchange.stream import TradeUpdateHub
from workers.exchange.tape import Tape
from workers.exchange.venue import Venue

log = structlog.get_logger(__name__)

#: The routes of the trading API and of market data.
ROUTES = [
    *ORDER_ROUTES, *ACCOUNT_ROUTES, *ACTIVITY_ROUTES, *HISTORY_ROUTES, *WATCHLIST_ROUTES, *MARKET_ROUTES,
    *CALENDAR_ROUTES, *PRICE_ROUTES,
]  # fmt: skip


def serve(
    *,
    host: str,
    port: int,
    home: Path,
    token: str,
    hosts: Iterable[str] = (),
    cadence_s: float = 5.0,
    clock: str = "always_open",
    bars: bool = True,
    listed_only: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return within a second; *on_ready* gets the URL once requests are served.

    *token* opens the admin routes. *hosts* are further names by which clients reach the exchange.

    Raises:
        NotPossible: the port is taken, another exchange runs in *home*, or the journal cannot be written.
    """
    listener = listening_socket(host, port)
    url = f"http://{host}:{listener.getsockname()[1]}"
    with contextlib.closing(listener):
        runtime = ExchangeRuntime(
            venue=Venue(SessionClock(ClockMode(clock)), listed_only=listed_only),
            journal=ExchangeJournal(home),
            tape=Tape(load_bars()) if bars else None,
            cadence_s=cadence_s,
        )
        app = build_app(runtime, token=token, hosts=[host, *hosts])
        _Server(runtime, app, url, on_ready).run(sockets=[listener])
        if runtime.failure is not None:
            raise NotPossible(f"the exchange's journal in {home} cannot be written: {runtime.failure}")


def build_app(runtime: ExchangeRuntime, *, token: str, hosts: Iterable[str]) -> ASGIApp:
    """Return the application that serves *runtime*. *hosts* are names of the server besides this machine's own."""
    hub = TradeUpdateHub(runtime)
    runtime.publish = hub.publish
    streams = [WebSocketRoute(path, hub.serve) for path in ("/stream", "/stream/")]
    others = Router([Route("/health", _health), *streams, *bars_routes(runtime), *Admin(runtime, token).routes()])
    return with_checks(Gateway(runtime=runtime, routes=ROUTES, others=others), hosts=hosts)


def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"}, headers=nonce_header())


class _Protocol(LimitedHttp):
    """Our HTTP protocol. It adds the connection to each request's scope, so that a fault can close it."""

    app: ASGIApp

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Add the connection to the scope of its requests."""
        super().connection_made(transport)
        # Nagle's algorithm delays each answer by 40 ms. asyncio disables it only if the socket's protocol is TCP.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport


class _Server(uvicorn.Server):
    """A server that starts and stops the exchange's runtime, and returns on SIGTERM or SIGINT."""

    def __init__(
        self, runtime: ExchangeRuntime, app: ASGIApp, url: str, on_ready: Callable[[str], None] | None
    ) -> None:
        config = uvicorn.Config(
            app, ws="auto", lifespan="off", timeout_graceful_shutdown=1,
            ws_ping_interval=10.0, ws_ping_timeout=10.0, **(server_settings() | {"http": _Protocol}),
        )  # fmt: skip
        super().__init__(config)
        self._runtime = runtime
        self._url = url
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the journal before the first request is served."""
        await self._runtime.start()
        if self._runtime.failure is not None:
            self.should_exit = True
            return
        await super().startup(sockets)
        log.info("exchange.started", url=self._url, cursor=self._runtime.cursor)
        if self._on_ready is not None:
            self._on_ready(self._url)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop: because of a signal, or because the journal cannot be written."""
        return await super().on_tick(counter) or self._runtime.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every waiting request, then close."""
        self._runtime.stopping.set()
        await super().shutdown(sockets)
        await self._runtime.stop()
        log.info("exchange.stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, and return; uvicorn's own method would raise the signal again."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.should_exit = True

        before: dict[int, Any] = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
