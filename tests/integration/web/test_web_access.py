"""Every route checks tokens, scopes and limits, and answers all refusals in the same form."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from pipeline.entrypoints.web.api import auth
from pipeline.entrypoints.web.api.limits import LARGEST_BODY
from pipeline.entrypoints.web.app import make_app
from pipeline.operations import guesses
from pipeline.operations.tokens import Scope, make_token, revoke_token
from pipeline.store.record import Record
from tests.integration.execution_states import Rows
from tests.waiting import patience
from tests.web import BEARER, TOKEN, serving, web_context

#: The routes without a token: health probes have none, and the documentation shows no data of the record.
OPEN = {"/health", "/ready", "/docs", "/docs/oauth2-redirect", "/openapi.json"}


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[httpx.Client]:
    with serving(web_context(record, redis_url)) as client:
        yield client


@pytest.fixture
def schema(record: Record, redis_url: str) -> dict[str, Any]:
    context = web_context(record, redis_url)
    context.readiness.close()
    return make_app(context).openapi()


def api_routes(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method in methods
        if path.startswith("/api/") or path == "/metrics"
    ]


def filled_in(path: str) -> str:
    """Return the path with a value in place of each parameter."""
    words = {"executor_id": "argo", "turn": "pause"}
    # Without `since`, the answer is a stream that does not end.
    since = "?since=0" if path == "/api/v1/events" else ""
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], str(uuid4())), path) + since


def test_no_route_works_without_its_scope(
    client: httpx.Client, record: Record, schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each route gets a wrong token, and an address may send only some of these a minute.
    monkeypatch.setattr(guesses, "PER_MINUTE", 1000)
    tokens = {scope: make_token(record, f"only-{scope}", [scope], by="test") for scope in Scope}
    routes = api_routes(schema)
    assert len(routes) >= 16
    opened: dict[tuple[str, str], set[str]] = {}
    for method, path in routes:
        without = client.request(method, filled_in(path))
        wrong = client.request(method, filled_in(path), headers={"Authorization": "Bearer tw_wrong"})
        assert (without.status_code, wrong.status_code) == (401, 401), (method, path)
        assert without.headers["WWW-Authenticate"] == "Bearer"
        opened[method, path] = {
            scope.value
            for scope, token in tokens.items()
            if client.request(method, filled_in(path), headers={"Authorization": f"Bearer {token}"}).status_code != 403
        }

    # Exactly one scope opens each route, because no scope includes another.
    assert {route: scopes for route, scopes in opened.items() if len(scopes) != 1} == {}
    sends = {("POST", "/api/v1/signals"), ("POST", "/api/v1/trading/execute")}
    assert {route for route, scopes in opened.items() if scopes == {"signal"}} == sends
    assert {route for route, scopes in opened.items() if scopes == {"read"}} == {
        route for route in routes if route[0] == "GET"
    }


def test_every_route_of_the_api_says_what_opens_it(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if path in OPEN:
                assert "security" not in operation, path
            elif path.startswith("/api/"):
                assert operation["security"], (method, path)
                assert {"401", "403", "413", "422", "429", "503"} <= operation["responses"].keys(), (method, path)
                assert operation["tags"], (method, path)
                assert operation["description"], (method, path)


def test_a_revoked_token_opens_nothing(client: httpx.Client, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_KEPT_S", 0.0)
    token = {"Authorization": f"Bearer {make_token(record, 'desk', [Scope.READ], by='test')}"}
    before = client.get("/api/v1/signals", headers=token).status_code
    revoke_token(record, "desk", by="test")

    assert (before, client.get("/api/v1/signals", headers=token).status_code) == (200, 401)


def test_the_sender_is_the_token_whatever_the_signal_says(client: httpx.Client, record: Record, rows: Rows) -> None:
    token = {"Authorization": f"Bearer {make_token(record, 'desk', [Scope.SIGNAL], by='test')}"}
    raw = {"source": "somebody", "symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 190}

    client.post("/api/v1/signals", json=raw, headers=token)

    assert rows("SELECT source FROM signal") == [{"source": "desk"}]


@pytest.mark.parametrize("path", ["/api/v1/signals", "/api/v1/executors/argo/halt", "/health", "/nowhere"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "streamed"])
def test_a_body_that_is_too_long_is_refused_by_every_route(client: httpx.Client, path: str, *, announced: bool) -> None:
    body = b" " * (LARGEST_BODY + 1)
    content = body if announced else iter([body[:1000], body[1000:]])

    answer = client.post(path, content=content, headers=BEARER | {"Content-Type": "application/json"})

    # A route that reads no body may ignore a body of unknown length.
    assert answer.status_code == 413 or (not announced and answer.status_code in {404, 405})
    assert answer.json()["error"]["code"]


def test_a_token_has_its_requests_of_the_minute_and_signals_have_their_own(record: Record, redis_url: str) -> None:
    with serving(web_context(record, redis_url, per_minute=5)) as client:
        looks = [client.get("/api/v1/signals", headers=BEARER) for _ in range(8)]
        sent = [client.post("/api/v1/signals", content=b"{}", headers=BEARER).status_code for _ in range(8)]

    assert [answer.status_code for answer in looks] == [200] * 5 + [429] * 3
    assert int(looks[-1].headers["Retry-After"]) >= 1
    assert looks[-1].json()["error"]["code"] == "too_many_requests"
    assert set(sent) == {422}


def test_a_page_that_is_not_there_is_404_in_words(client: httpx.Client) -> None:
    answer = client.get("/api/v1/nothing")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_wrong_method_is_405_and_names_one_that_there_is(client: httpx.Client) -> None:
    answer = client.delete("/api/v1/signals")

    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] in {"GET", "POST"}


def test_a_fault_of_ours_is_in_the_log_and_not_in_the_answer(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the secret place")

    monkeypatch.setattr("pipeline.views.lists.signals", broken)
    with structlog.testing.capture_logs() as logs:
        answer = client.get("/api/v1/signals", headers=BEARER)

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert [log["event"] for log in logs] == ["request.failed"]


def test_no_answer_repeats_the_token(client: httpx.Client) -> None:
    answer = client.get("/api/v1/signals", params={"since": TOKEN}, headers={"Authorization": f"Basic {TOKEN}"})

    assert answer.status_code == 401
    assert TOKEN not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/signals", "/webhooks/tradingview", "/login", "/act/halt", "/nowhere"])
def test_a_client_that_hangs_up_in_the_body_is_no_error(
    client: httpx.Client, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 500\r\n"
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.WARNING):
        at = (client.base_url.host, client.base_url.port)
        with socket.create_connection(at) as one:
            one.sendall(f"POST {path} HTTP/1.1\r\n{headers}\r\nhello".encode())
        # When the server has answered these requests, it has noticed the end of that connection.
        for _ in range(3):
            assert client.get("/health").status_code == 200

    assert lines == []
    assert caplog.records == []


def test_tokens_are_guessed_slowly_and_those_in_use_go_on_working(client: httpx.Client) -> None:
    def status(token: str) -> int:
        return client.get("/api/v1/signals", headers={"Authorization": f"Bearer {token}"}).status_code

    assert status(TOKEN) == 200
    assert [status(f"guess-{number}") for number in range(25)] == [401] * 20 + [429] * 5
    assert status(TOKEN) == 200


def test_right_tokens_that_arrive_together_are_never_taken_for_guesses(record: Record, redis_url: str) -> None:
    tokens = [make_token(record, f"program-{number}", [Scope.READ], by="test") for number in range(25)]

    with serving(web_context(record, redis_url)) as client, ThreadPoolExecutor(25) as senders:
        url = client.base_url.join("/api/v1/signals")

        def status(token: str) -> int:
            return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=patience(20)).status_code

        assert list(senders.map(status, tokens)) == [200] * 25


def test_a_forwarded_address_does_not_lift_the_limit_for_wrong_tokens(client: httpx.Client) -> None:
    def status(number: int) -> int:
        headers = {"Authorization": f"Bearer guess-{number}", "X-Forwarded-For": f"10.0.0.{number}"}
        return client.get("/api/v1/signals", headers=headers).status_code

    assert [status(number) for number in range(25)] == [401] * 20 + [429] * 5


def test_behind_a_proxy_with_tls_the_sessions_cookie_is_secure(client: httpx.Client) -> None:
    plain = client.get("/login")
    client.cookies.clear()
    forwarded = client.get("/login", headers={"X-Forwarded-Proto": "https"})

    assert "secure" not in plain.headers["set-cookie"].lower()
    assert "secure" in forwarded.headers["set-cookie"].lower()


def test_a_number_of_an_event_that_none_has_is_refused(client: httpx.Client) -> None:
    assert client.get("/api/v1/events", headers={**BEARER, "Last-Event-ID": "9" * 5000}).status_code == 422


@pytest.mark.parametrize("number", ["1_000", "\uff15", "\u0665", "5e0", " 5", "+5"])
def test_a_number_has_plain_digits(client: httpx.Client, number: str) -> None:
    for path, name in (
        ("signals", "limit"),
        ("dead-letters", "limit"),
        ("webhooks/deliveries", "cursor"),
        ("events", "after"),
    ):
        answer = client.get(f"/api/v1/{path}", params={name: number}, headers=BEARER)
        assert answer.status_code == 422, path


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/signals", "/webhooks/tradingview", "/login"])
def test_another_name_than_the_servers_own_is_refused_with_the_remedy(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers={**BEARER, "Host": "evil.example.org"})

        assert answer.status_code == 403
        assert "TRADEWIRE_ALLOWED_HOSTS" in answer.json()["error"]["message"]


def test_the_name_of_a_tunnel_is_accepted_when_it_is_allowed(record: Record, redis_url: str) -> None:
    context = web_context(record, redis_url)
    settings = context.settings.model_copy(update={"allowed_hosts": ("tunnel.example.org",)})
    with serving(replace(context, settings=settings)) as client:
        assert client.get("/health", headers={"Host": "Tunnel.example.org"}).status_code == 200
        assert client.get("/health", headers={"Host": "other.example.org"}).status_code == 403


@pytest.mark.parametrize("path", ["/api/v1/signals", "/api/v1/executors/argo/halt", "/webhooks/tradingview", "/login"])
def test_a_write_of_another_origin_is_refused_with_a_token_too(client: httpx.Client, path: str) -> None:
    own = str(client.base_url).rstrip("/")

    foreign = [client.post(path, headers={**BEARER, "Origin": origin}) for origin in ("null", "http://127.0.0.1:9181")]

    assert [answer.status_code for answer in foreign] == [403, 403]
    assert "another origin" not in client.post(path, headers={**BEARER, "Origin": own}).text


def test_a_browser_gets_a_page_for_an_unknown_address(client: httpx.Client) -> None:
    answer = client.get("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert '<a href="/">' in answer.text
