"""A request must name this server as its host, and a write must come from one of its own pages."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from pipeline.startup.request_origin import OwnRequestsOnly, fault

HOSTS = frozenset({"tunnel.example.org", "10.0.0.7"})
OWN = "127.0.0.1:8000"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000",
        "localhost",
        "LocalHost.:8000",
        "[::1]:8000",
        "127.8.9.1",
        "tunnel.example.org",
        "Tunnel.Example.ORG.:443",
        "10.0.0.7:8000",
    ],
)
def test_a_name_of_this_server_is_accepted(host: str) -> None:
    assert fault("GET", {"host": host}, hosts=HOSTS) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "localhost.evil.example.org",
        "127.0.0.1.evil.example.org:8000",
        "evil.example.org#@127.0.0.1",
        "127.0.0.1@evil.example.org",
        "127.0.0.1:8000/",
        "10.0.0.8",
        "",
        "[::1",
        "127.0.0.1:port",
        "\u0661\u0662\u0667.0.0.1.evil.org",
    ],
)
def test_another_name_is_refused_with_the_variable_that_admits_it(host: str) -> None:
    assert "TRADEWIRE_ALLOWED_HOSTS" in (fault("GET", {"host": host}, hosts=HOSTS) or "")


def test_a_host_cannot_write_into_the_answer() -> None:
    sentence = fault("GET", {"host": "\x1b[2J" + "x" * 500}, hosts=HOSTS)

    assert sentence is not None
    assert "\x1b" not in sentence
    assert len(sentence) < 300


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (OWN, "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("tunnel.example.org", "https://tunnel.example.org"),
        ("tunnel.example.org", "http://tunnel.example.org:80"),
        ("tunnel.example.org:443", "https://tunnel.example.org"),
    ],
)
def test_a_write_of_an_own_page_is_accepted(host: str, origin: str) -> None:
    assert fault("POST", {"host": host, "origin": origin, "sec-fetch-site": "same-origin"}, hosts=HOSTS) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WEBSOCKET", "ANY"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:9181",
        "http://127.0.0.1",
        "https://127.0.0.1",
        "http://localhost:8000",
        "http://evil.example.org",
        "http://127.0.0.1:8000.evil.example.org",
        "http://127.0.0.1:8000@evil.example.org",
        "http://evil.example.org/127.0.0.1:8000",
        "chrome-extension://127.0.0.1:8000",
        "127.0.0.1:8000",
        "null",
        "",
    ],
)
def test_a_write_of_another_origin_is_refused_and_another_port_is_one(method: str, origin: str) -> None:
    assert fault(method, {"host": OWN, "origin": origin}, hosts=HOSTS) is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
def test_a_write_that_the_browser_calls_foreign_is_refused_without_an_origin_too(site: str) -> None:
    assert fault("POST", {"host": OWN, "sec-fetch-site": site}, hosts=HOSTS) is not None


def test_a_program_sends_neither_header_and_is_accepted() -> None:
    assert fault("POST", {"host": OWN}, hosts=HOSTS) is None
    assert fault("POST", {}, hosts=HOSTS) is None
    assert fault("POST", {"origin": "http://127.0.0.1:8000"}, hosts=HOSTS) is not None


def test_a_read_of_another_site_is_left_to_the_browser() -> None:
    assert fault("GET", {"host": OWN, "origin": "http://evil.example.org"}, hosts=HOSTS) is None


# --- the middleware ---


def guarded(*hosts: str) -> ASGIApp:
    def refuse(sentence: str) -> ASGIApp:
        return PlainTextResponse(sentence, 403)

    return OwnRequestsOnly(PlainTextResponse("in"), hosts=hosts, refuse=refuse)


def test_the_address_that_the_connection_reached_is_a_name_of_the_server() -> None:
    client = TestClient(guarded(), base_url="http://192.168.1.5:8000")

    assert client.get("/").text == "in"
    assert client.get("/", headers={"Host": "192.168.1.6:8000"}).status_code == 403


def test_named_hosts_are_accepted_however_they_are_spelled() -> None:
    client = TestClient(guarded("Tunnel.Example.org."), base_url="http://127.0.0.1")

    assert client.get("/", headers={"Host": "tunnel.example.org"}).status_code == 200
    assert client.post("/", headers={"Origin": "http://127.0.0.1:1"}).status_code == 403


def test_a_websocket_of_another_origin_is_closed_before_it_is_accepted() -> None:
    client = TestClient(guarded(), base_url="http://127.0.0.1")

    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/", headers={"Origin": "http://evil.example.org"}),
    ):
        pass
