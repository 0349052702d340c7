"""The adapter reports the outcome of an order when the network fails, and sends each order once."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play, broker_at
from tests.unit.brokers.scripted import (
    LOOPBACK_PEM,
    Act,
    ScriptedServer,
    close,
    drip,
    free_port,
    full_backlog,
    raw,
    reply,
    reset,
    silence,
)
from workers.brokers.protocol import Accepted, NotSent, NotSentCause, Unknown


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_nothing_is_ever_sent_twice(play: Play, status: int) -> None:
    broker, server = play(reply(status, {"message": "no"}), reply(200, payloads.order()))

    assert not isinstance(broker.submit(payloads.request()), Accepted)

    assert len(server.seen) == 1


def test_a_redirect_is_not_followed(play: Play) -> None:
    _, elsewhere = play(reply(200, payloads.order()))
    broker, server = play(reply(307, "", Location=f"{elsewhere.url}/v2/orders"))

    assert isinstance(broker.submit(payloads.request()), Unknown)

    assert len(server.seen) == 1
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "act",
    [
        close,
        reset,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", close=True),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", close=True),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno-number\r\n", close=True),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
        raw(b"HTTP/1.1 307 X\r\nLocation: http://[broken\r\nContent-Length: 0\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
        raw(b"220 smtp.example.org ESMTP\r\n", close=True),
        raw(b"\x00\xff\x00\xff", close=True),
    ],
)
def test_a_connection_that_breaks_after_sending_leaves_it_unknown(play: Play, act: Act) -> None:
    broker, server = play(act)

    assert isinstance(broker.submit(payloads.request()), Unknown)

    assert len(server.seen) == 1


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "act",
    [
        silence,
        drip(b"", every_s=0.05),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", every_s=0.05),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", every_s=0.05),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", every_s=0.05),
    ],
)
def test_a_slow_answer_is_given_up_in_time_however_it_drips(play: Play, act: Act, *, tls: bool) -> None:
    broker, server = play(act, timeout_s=0.5, tls=tls)
    broker._session._session.verify = str(LOOPBACK_PEM)
    before = time.monotonic()

    outcome = broker.submit(payloads.request())

    assert outcome == Unknown(message="no complete answer within 0.5 s")
    assert len(server.seen) == 1
    # The limit is generous, because without the deadline none of these calls would ever end.
    assert time.monotonic() - before < 5


def test_a_refused_connection_means_not_sent() -> None:
    outcome = broker_at(f"http://127.0.0.1:{free_port()}").submit(payloads.request())

    assert outcome == NotSent(cause=NotSentCause.UNREACHABLE, message="no connection: Connection refused")


def test_a_connection_that_is_not_accepted_in_time_means_not_sent() -> None:
    with full_backlog() as url:
        outcome = broker_at(url, timeout_s=0.4).submit(payloads.request())

    assert outcome == NotSent(cause=NotSentCause.UNREACHABLE, message="no connection within the time limit")


def test_a_host_without_an_address_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_known(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_known)

    outcome = broker_at("http://broker.invalid").submit(payloads.request())

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.UNREACHABLE
    assert "could not be resolved" in outcome.message


def test_a_server_whose_certificate_is_not_trusted_was_sent_nothing(play: Play) -> None:
    broker, server = play(reply(200, payloads.order()), tls=True)

    outcome = broker.submit(payloads.request())

    assert isinstance(outcome, NotSent)
    assert "certificate" in outcome.message
    assert server.seen == []


def test_a_server_that_does_not_speak_tls_was_sent_nothing() -> None:
    with ScriptedServer([silence], greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain:
        outcome = broker_at(plain.url.replace("http:", "https:")).submit(payloads.request())

    assert isinstance(outcome, NotSent)
    assert outcome.cause is NotSentCause.UNREACHABLE


def test_connections_are_kept_and_a_closed_one_is_replaced(play: Play) -> None:
    answer = reply(200, payloads.order())
    ends = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", close=True)  # closes without announcing it
    broker, server = play(answer, answer, ends, answer)

    broker.submit(payloads.request())
    broker.submit(payloads.request())
    assert server.connections == 1
    broker.submit(payloads.request())
    _until_closed(broker)

    assert isinstance(broker.submit(payloads.request()), Accepted)
    assert server.connections == 2


def _until_closed(broker: Any) -> None:
    """Wait until the kept connection has received the server's close."""
    manager = broker._session._session.adapters["http://"].poolmanager
    (pool,) = (manager.pools[key] for key in manager.pools.keys())  # noqa: SIM118 - it is not a dict
    connection = pool.pool.queue[-1]
    for _ in range(200):
        if not connection.is_connected:
            return
        time.sleep(0.01)
    raise AssertionError("the server did not close")
