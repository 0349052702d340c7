"""The paper exchange refuses pages of other sites, callers without its token, and bodies that are not short JSON."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.exchange_fixtures import TOKEN, ExchangeProcess
from workers.exchange.request_checks import LARGEST_BODY

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
LOGIN = {"Authorization": f"Bearer {TOKEN}"}
ORDER = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "9", "time_in_force": "day"}


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=exchange_process.url, headers=KEYS | LOGIN, trust_env=False) as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["faults", "state", "orders?key=key", "requests?key=key", "prices", "bars", "clock", "accounts", "assets",
             "rate", "reset"],
)  # fmt: skip
@pytest.mark.parametrize("login", ["", "Bearer", "Bearer another", f"Basic {TOKEN}", TOKEN])
def test_every_admin_route_needs_the_token(client: httpx.Client, path: str, login: str) -> None:
    answers = [
        client.request(method, f"/admin/{path}", headers={"Authorization": login}, json={})
        for method in ("GET", "POST")
    ]

    assert {answer.status_code for answer in answers} <= {401, 405}
    assert 401 in {answer.status_code for answer in answers}
    assert "TRADEWIRE_EXCHANGE_TOKEN" in next(a for a in answers if a.status_code == 401).json()["message"]


@pytest.mark.parametrize("path", ["/admin/faults", "/v2/account", "/v3/clock", "/bars", "/nowhere"])
def test_a_name_that_resolves_to_this_machine_is_no_name_of_the_exchange(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"Host": "rebound.example.org:8100"}).status_code == 403
    assert client.get(path, headers={"Host": f"localhost:{client.base_url.port}"}).status_code in {200, 404}


@pytest.mark.parametrize("path", ["/admin/reset", "/v2/orders", "/v2/watchlists"])
def test_a_page_of_another_origin_cannot_write(client: httpx.Client, path: str) -> None:
    for origin in ("https://example.org", "http://127.0.0.1:1", "null"):
        assert client.post(path, json=ORDER, headers={"Origin": origin}).status_code == 403
    assert client.get("/v2/orders", params={"status": "all"}).json() == []


def test_a_page_of_another_origin_cannot_open_the_stream(exchange_process: ExchangeProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(exchange_process.url.replace("http", "ws") + "/stream", origin="https://example.org")  # type: ignore[arg-type]

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_body_that_is_not_called_json_is_a_415(client: httpx.Client, kind: str) -> None:
    for path in ("/admin/reset", "/v2/orders"):
        answer = client.post(path, content=json.dumps(ORDER), headers={"Content-Type": kind})
        assert answer.status_code == 415
    answer = client.post(
        "/v2/orders", content=json.dumps(ORDER), headers={"Content-Type": "Application/JSON; charset=x"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/admin/prices", "/v2/orders"])
def test_a_body_that_is_too_long_is_a_413(client: httpx.Client, path: str) -> None:
    def in_pieces() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 1024 + 1):
            yield b" " * 1024

    for content in (b" " * (LARGEST_BODY + 1), in_pieces()):
        try:
            answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
        except httpx.WriteError:
            # The exchange answered and closed the connection before the client had sent everything.
            continue
        assert answer.status_code == 413
    assert client.get("/v2/account").status_code == 200


def test_a_client_that_hangs_up_within_its_body_has_placed_nothing(
    client: httpx.Client, exchange_process: ExchangeProcess
) -> None:
    body = json.dumps(ORDER).encode()
    lines = ["POST /v2/orders HTTP/1.1", f"Host: 127.0.0.1:{client.base_url.port}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in KEYS.items()] + [f"Content-Length: {len(body) + 1}", "", ""]
    with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
    client.get("/v2/account")

    assert client.get("/v2/orders", params={"status": "all"}).json() == []
    assert exchange_process.running


def test_an_exchange_without_a_token_shows_the_one_that_it_made(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workers.exchange", "--no-bars", "--port", "0", "--home", str(tmp_path)]
    without = {name: value for name, value in os.environ.items() if name != "TRADEWIRE_EXCHANGE_TOKEN"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=without) as process:
        assert process.stdout is not None
        url, token = process.stdout.readline().split()[-1], process.stdout.readline().split()[2]
        with httpx.Client(trust_env=False) as client:
            answers = [
                client.get(f"{url}/admin/state", headers={"Authorization": f"Bearer {each}"}) for each in (token, TOKEN)
            ]
        process.terminate()

    assert [answer.status_code for answer in answers] == [200, 401]
