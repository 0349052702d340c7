"""An address may send only some requests without a token or a login; those with one do not depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import httpx
import pytest

from pipeline.entrypoints.web.api import address_limits, auth
from pipeline.operations.request_rates import RequestRates
from pipeline.operations.tokens import Scope, make_token
from pipeline.store.record import Record
from tests.integration.web.test_page import login
from tests.waiting import patience
from tests.web import BEARER, serving, web_context

#: What everybody may ask for.
PATHS = ("/docs", "/openapi.json", "/login", "/nowhere", "/api/v1/signals")


@pytest.fixture
def client(record: Record, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(address_limits, "PER_MINUTE", 5)
    # The clock stands still, so that a slow machine gives back no request meanwhile.
    monkeypatch.setattr(address_limits, "RequestRates", partial(RequestRates, clock=lambda: 0.0))
    with serving(web_context(record, redis_url)) as client:
        yield client


def use_up(client: httpx.Client) -> httpx.Response:
    """Send requests without a token until one is refused, and return that answer."""
    # Without the client's cookies.
    answers = [httpx.get(client.base_url.join("/nowhere"), timeout=patience(10)) for _ in range(6)]
    assert answers[-1].status_code == 429
    return answers[-1]


def test_an_address_has_its_requests_without_a_token_of_the_minute(client: httpx.Client) -> None:
    answers = [client.get(path) for path in (*PATHS, *PATHS)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 401, *[429] * 5]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert answers[-1].json()["error"]["code"] == "too_many_requests"


def test_requests_of_another_host_are_counted_too(client: httpx.Client) -> None:
    statuses = [client.get("/", headers={"Host": "evil.example.org"}).status_code for _ in range(7)]

    assert statuses == [403] * 5 + [429] * 2


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer tw_wrong"}, {"Cookie": "tradewire_session=made.up.one"}])
def test_a_wrong_token_or_session_is_as_good_as_none(client: httpx.Client, headers: dict[str, str]) -> None:
    statuses = [client.get("/openapi.json", headers=headers).status_code for _ in range(7)]

    assert statuses == [200] * 5 + [429] * 2


@pytest.mark.parametrize("kept_s", [5.0, 0.0], ids=["remembered", "looked up"])
def test_right_tokens_and_sessions_go_on_when_the_address_has_none_left(
    client: httpx.Client, record: Record, monkeypatch: pytest.MonkeyPatch, kept_s: float
) -> None:
    monkeypatch.setattr(auth, "_KEPT_S", kept_s)
    new = {"Authorization": f"Bearer {make_token(record, 'desk', [Scope.READ], by='test')}"}
    assert login(client).status_code == 303
    use_up(client)

    assert [client.get("/api/v1/signals", headers=each).status_code for each in (BEARER, new)] == [200, 200]
    assert client.get("/").status_code == 200
    use_up(client)


def test_requests_with_a_token_leave_those_without_one_alone(client: httpx.Client) -> None:
    assert {client.get("/api/v1/signals", headers=BEARER).status_code for _ in range(20)} == {200}

    assert [client.get("/docs").status_code for _ in range(5)] == [200] * 5


def test_probes_metrics_and_webhooks_are_answered_all_the_same(client: httpx.Client) -> None:
    use_up(client)

    statuses = [client.get(path).status_code for path in ("/health", "/ready", "/metrics")]
    assert 429 not in statuses
    assert client.post("/webhooks/tradingview", content=b"{}").status_code == 401
    assert client.post("/webhooks/tradingview/secret", content=b"{}").status_code == 401
    assert client.post("/webhooks/nothing", content=b"{}").status_code == 429
    assert client.get("/webhooks/tradingview").status_code == 429


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("no address", "another text", True),
    ],
)
def test_behind_a_trusted_proxy_each_sender_has_its_own(
    client: httpx.Client, first: str, second: str, *, same: bool
) -> None:
    def status(sender: str) -> int:
        return client.get("/nowhere", headers={"X-Forwarded-For": sender}).status_code

    assert [status(first) for _ in range(6)] == [404] * 5 + [429]
    assert status(second) == (429 if same else 404)


def test_without_a_trusted_proxy_no_header_gives_an_address_more(
    record: Record, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_limits, "PER_MINUTE", 5)
    # The clock stands still, so that a slow machine gives back no request meanwhile.
    monkeypatch.setattr(address_limits, "RequestRates", partial(RequestRates, clock=lambda: 0.0))
    context = web_context(record, redis_url)
    settings = context.settings.model_copy(update={"trusted_proxies": ()})
    with serving(replace(context, settings=settings)) as client:
        forwarded = [{"X-Forwarded-For": f"10.0.0.{number}"} for number in range(6)]
        statuses = [client.get("/nowhere", headers=headers).status_code for headers in forwarded]

    assert statuses == [404] * 5 + [429]
