"""Our HTTP server closes slow and idle connections, and keeps serving the others."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from pipeline.startup.http_server import LimitedHttp, most_connections, server_settings
from tests.waiting import patience, until

IDLE = 1100
SERVER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
import uvicorn
from starlette.responses import PlainTextResponse
from config.logs import configure_logs
from pipeline.startup.http_server import server_settings
configure_logs("json", process="test")
uvicorn.run(PlainTextResponse("in"), port=int(sys.argv[1]), lifespan="off", **server_settings())
"""


class Quick(LimitedHttp):
    headers_within_s = 0.5
    body_within_s = 1.0
    taken_within_s = 0.5


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body)(scope, receive, send)


@contextmanager
def serving(**changes: Any) -> Iterator[tuple[str, int]]:
    settings = server_settings() | {"http": Quick, "app": echo} | changes
    server = uvicorn.Server(uvicorn.Config(port=0, lifespan="off", timeout_graceful_shutdown=1, **settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, 5)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join(patience(5))


def sent(at: tuple[str, int], text: bytes) -> socket.socket:
    client = socket.create_connection(at, timeout=patience(5))
    client.sendall(text)
    return client


def is_closed(client: socket.socket) -> bool:
    """Return whether the server closed the connection without an answer."""
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh",
    ],
)
def test_a_client_that_does_not_finish_its_request_is_let_go(text: bytes) -> None:
    with serving() as at, sent(at, text) as client:
        assert is_closed(client)


def test_single_bytes_do_not_prolong_the_limit() -> None:
    with serving() as at, sent(at, b"GET / HTTP/1.1\r\n") as client:
        client.settimeout(0.1)

        def dripped() -> bool:
            client.send(b"X")
            try:
                return client.recv(1) == b""
            except TimeoutError:
                return False

        with pytest.raises(ConnectionError):
            until(lambda: False if not dripped() else client.send(b"X") < 0, 10)


def test_a_second_request_has_the_same_limit() -> None:
    with serving() as at, sent(at, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET / HT")
        assert is_closed(client)


@pytest.mark.parametrize(("size", "asked"), [(8_000_000, 1), (40_000, 200)], ids=["large", "many"])
def test_a_client_that_does_not_take_its_answers_is_let_go(size: int, asked: int) -> None:
    lost = threading.Event()

    class Watched(Quick):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()
            super().connection_lost(exc)

    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * asked
    with serving(app=PlainTextResponse(b" " * size), http=Watched) as at, sent(at, request):
        assert lost.wait(patience(5))


def test_a_client_that_takes_its_answer_slowly_gets_all_of_it() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        parts = (b" " * 1_000_000 for _ in range(14))
        await StreamingResponse(parts)(scope, receive, send)

    with serving(app=stream) as at, httpx.stream("GET", "http://{}:{}/".format(*at)) as answer:
        taken = 0
        for part in answer.iter_raw(1_000_000):
            taken += len(part)
            threading.Event().wait(0.05)

    assert taken == 14_000_000


def test_a_connection_between_two_requests_stays() -> None:
    with serving() as at, httpx.Client(base_url="http://{}:{}".format(*at)) as client:
        first = client.post("/", content="one")
        threading.Event().wait(3 * Quick.headers_within_s)
        second = client.post("/", content="two")

        assert (first.text, second.text) == ("one", "two")
        assert first.extensions["network_stream"] is second.extensions["network_stream"]


def test_a_new_client_takes_the_place_of_the_one_that_is_idle_longest() -> None:
    with serving(http=LimitedHttp, limit_concurrency=4) as at, ExitStack() as opened:
        idle = [opened.enter_context(sent(at, b"")) for _ in range(3)]
        busy = opened.enter_context(sent(at, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\no"))

        assert is_closed(idle[0])
        for _ in range(5):
            assert httpx.get("http://{}:{}/".format(*at)).status_code == 200
        busy.sendall(b"k")
        assert busy.recv(1000).startswith(b"HTTP/1.1 200")


def test_idle_clients_beyond_the_descriptors_do_not_stop_the_server(tmp_path: Path, free_tcp_port: int) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, before + IDLE), most))
    log = tmp_path / "log"
    with log.open("wb") as file, ExitStack() as opened:
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(free_tcp_port)], stderr=file)
        opened.callback(server.wait)
        opened.callback(server.kill)
        at, url = ("127.0.0.1", free_tcp_port), f"http://127.0.0.1:{free_tcp_port}/"
        until(lambda: answers(url), 10)
        for _ in range(IDLE):
            opened.enter_context(sent(at, b""))

        assert all(httpx.get(url, timeout=patience(5)).text == "in" for _ in range(14))
    assert log.stat().st_size < 20_000


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def test_descriptors_are_left_for_the_servers_own_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for descriptors, connections in ((1024, 448), (256, 32), (20_000, 1000), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr("resource.getrlimit", lambda _, soft=descriptors: (soft, soft))

        assert most_connections() == connections


def test_no_server_believes_a_forwarded_address() -> None:
    async def peer(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"{scope['client'][0]} {scope['scheme']}")(scope, receive, send)

    forged = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}
    with serving(app=peer) as (host, port):
        assert httpx.get(f"http://{host}:{port}/", headers=forged).text == "127.0.0.1 http"


async def echo_stream(scope: Scope, receive: Receive, send: Send) -> None:
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def test_a_websocket_is_no_request_that_takes_too_long() -> None:
    with serving(app=echo_stream) as (host, port), connect(f"ws://{host}:{port}/") as websocket:
        threading.Event().wait(1.5 * Quick.body_within_s)
        websocket.send("still here")

        assert websocket.recv(timeout=patience(5)) == "still here"
