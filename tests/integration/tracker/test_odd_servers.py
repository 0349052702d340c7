"""Servers that refuse, send odd frames or send nothing: the stream says why, keeps the frames and asks for a poll."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from config.schema.broker_hosts import EXCHANGE_SECRET
from tests.factories import Core, until
from tests.integration.tracker.stages import a_stream, stream_row, tracking
from tests.unit.brokers import payloads
from workers.brokers.alpaca.stream_connection import StreamTiming
from workers.tracker.update_recorder import MOST_ODDITIES, UpdateRecorder

AUTHORIZED = json.dumps(payloads.recorded("stream-authorization-0"))
UNAUTHORIZED = json.dumps(payloads.recorded("stream-authorization-1"))
LISTENING = '{"stream":"listening","data":{"streams":["trade_updates"]}}'
IMPATIENT = StreamTiming(opens_within_s=0.3, ping_every_s=5.0, ping_timeout_s=5.0)

Handler = Callable[[ServerConnection], None]


@contextlib.contextmanager
def serving(handler: Handler, **options: Any) -> Iterator[str]:
    """Serve a stream with *handler*, and yield the base URL of its API."""
    with serve(handler, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(5)


def saying(*frames: str | bytes) -> Handler:
    """Return a handler that sends *frames*: the first as the answer to the login, and the others at the request."""

    def handle(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(frames[0])
        with contextlib.suppress(ConnectionClosed):
            connection.recv()
            for frame in frames[1:]:
                connection.send(frame)
            connection.recv()

    return handle


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ((UNAUTHORIZED,), "refuses the login"),
        (("what?",), "refuses the login"),
        ((AUTHORIZED, '{"stream":"listening","data":{"streams":[]}}'), "does not send trade updates"),
        ((AUTHORIZED, '{"action":"error","data":{"error_message":"no paper-exchange"}}'), "reports: no ***"),
        ((AUTHORIZED,), "does not answer the login"),
    ],
)
def test_a_login_that_fails_is_said(core: Core, frames: tuple[str, ...], problem: str) -> None:
    with serving(saying(*frames)) as url:
        a_stream(core, url=url, timing=IMPATIENT).run_once()

    assert stream_row(core)["state"] == "down"
    assert problem in stream_row(core)["problem"]


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (HTTPStatus.TOO_MANY_REQUESTS, "no further connection (429)"),
        (HTTPStatus.UNAUTHORIZED, "answers the request for the stream with 401"),
        # The keys must not follow a redirect.
        (HTTPStatus.FOUND, "answers the request for the stream with 302"),
    ],
)
def test_a_refused_connection_is_said(core: Core, status: HTTPStatus, problem: str) -> None:
    location = core.exchange.url.replace("http", "ws") + "/stream"
    answer = Response(status.value, status.phrase, Headers(Location=location))
    with serving(saying(AUTHORIZED), process_request=lambda *_: answer) as url:
        a_stream(core, url=url).run_once()

    assert problem in stream_row(core)["problem"]


def test_odd_frames_are_kept_masked_and_lead_to_a_poll(core: Core) -> None:
    ours = payloads.recorded("stream-fill-2026")
    ours["data"]["order"]["client_order_id"] = "tw-0d9f7e4c-5c1b-4a51-9d0e-1f6a3f4f3f10-1"
    odd = [
        b"\xff\x00", '{"stream":"trade_updates","data":{"event":"fill"},"api_key":"PKSECRET"}',
        json.dumps(ours | {"data": ours["data"] | {"event": "unheard"}}),
        json.dumps(ours | {"data": ours["data"] | {"execution_id": None}}), "x" * 10000,
    ]  # fmt: skip
    with serving(saying(AUTHORIZED, LISTENING, '{"stream":"news","data":{}}', *odd, json.dumps(ours))) as url:
        with tracking(core, url=url):
            until(lambda: stream_row(core)["poll_reason"] == "the record does not know the order")
        kept = core.rows("SELECT * FROM stream_oddity ORDER BY oddity_id")

    assert [row["why"] for row in kept] == [
        "The broker's frame is not text.",
        "it names no order",
        "its event is unknown",
        "The broker's fill has no readable execution_id.",
        "The broker's answer is not JSON.",
    ]
    assert "PKSECRET" not in kept[1]["frame"]
    assert len(kept[-1]["frame"]) == 4096


def test_only_the_newest_odd_frames_are_kept(core: Core) -> None:
    recorder = UpdateRecorder(record=core.record, executor_id="argo", who="test")
    core.rows(
        "INSERT INTO stream_oddity (executor_id, why, frame) "
        "SELECT 'argo', 'x', n::text FROM generate_series(1, %s) AS n",
        [MOST_ODDITIES + 5],
    )

    assert recorder.message("odd") is None

    kept = [row["frame"] for row in core.rows("SELECT frame FROM stream_oddity ORDER BY oddity_id")]
    assert (len(kept), kept[0], kept[-1]) == (MOST_ODDITIES, "7", "odd")


def test_the_secret_is_in_no_log(core: Core, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with tracking(core):
        until(lambda: stream_row(core)["state"] == "listening")

    assert EXCHANGE_SECRET not in caplog.text
