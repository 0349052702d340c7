"""The paper exchange refuses bodies that would break its state, and ends when its journal cannot be written."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.exchange_client import build_client, limit
from tests.exchange_fixtures import ExchangeProcess
from tests.waiting import patience, until

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
ORDER = (
    '{"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "100", "time_in_force": "day", %s}'
)


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Iterator[httpx.Client]:
    headers = KEYS | {"Content-Type": "application/json"}
    with httpx.Client(base_url=exchange_process.url, headers=headers, trust_env=False) as opened:
        yield opened


@pytest.fixture
def own_exchange(start_exchange: Callable[..., ExchangeProcess]) -> Iterator[ExchangeProcess]:
    own = start_exchange("--no-bars")
    yield own
    own.close()


@pytest.mark.parametrize(
    "body",
    [
        ORDER % r'"client_order_id": "\ud800"',
        ORDER % r'"\udfff": 1',
        ORDER % '"trail_price": 1e9999999999999999999',
        "[" * 100_000,
    ],
    ids=["half a surrogate pair", "half a pair as a key", "a number without end", "depth without end"],
)
def test_a_body_that_cannot_be_written_is_a_400_and_changes_nothing(client: httpx.Client, body: str) -> None:
    answer = client.post("/v2/orders", content=body)

    assert (answer.status_code, answer.json()["message"]) == (400, "request body format is invalid")
    assert client.get("/v2/orders", params={"status": "all"}).json() == []
    assert client.post("/v2/orders", content=ORDER % '"client_order_id": "after"').status_code == 200


@pytest.mark.parametrize("name", ["qty", "limit_price"])
@pytest.mark.parametrize("value", ["1e999999", "1e13", "1e-999999", "0.1234567890123456789"])
def test_a_number_that_cannot_be_calculated_with_is_a_422(client: httpx.Client, name: str, value: str) -> None:
    answer = client.post("/v2/orders", content=ORDER % f'"{name}": "{value}"')

    assert (answer.status_code, answer.json()) == (422, {"code": 40010001, "message": f"invalid {name}"})
    assert client.get("/v2/account").status_code == 200


@pytest.mark.parametrize("query", ["/v2/orders?limit=", "/v2/account/activities?page_size="])
def test_a_number_of_rows_with_very_many_digits_is_a_422(client: httpx.Client, query: str) -> None:
    assert client.get(query + "9" * 5000).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("accounts", {"key": "key", "cash": "1e999999"}),
        ("accounts", {"key": "key", "last_equity": "1e999999"}),
        ("accounts", {"key": "key", "deposit": "1e999999"}),
        ("accounts", {"key": "key", "deposit": "1", "deposited_at": "0001-01-01T00:00:00Z"}),
        ("clock", {"mode": "fixed", "now": "9999-12-31T00:00:00Z"}),
        ("faults", {"faults": [{"on": "account", "kind": "lagging_reads", "seconds": 1e300}]}),
        ("bars", {"cadence_s": 1e300}),
    ],
)
def test_an_admin_body_that_would_break_the_state_is_a_422(
    exchange_process: ExchangeProcess, client: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    assert exchange_process.post(path, body).status_code == 422
    build_client(exchange_process).submit_order(limit("AAPL", 1, "buy", 100))
    for read in ("account", "positions", "account/activities", "clock"):
        assert client.get(f"/v2/{read}").status_code == 200


def test_a_stream_login_that_cannot_be_written_is_refused(exchange_process: ExchangeProcess) -> None:
    with connect(exchange_process.url.replace("http", "ws") + "/stream") as stream:
        stream.send(r'{"action": "auth", "key": "\ud800", "secret": "s"}')

        assert b'"unauthorized"' in bytes(stream.recv(timeout=patience(10)))  # type: ignore[arg-type]
    assert build_client(exchange_process).get_account().status is not None


def test_a_journal_that_cannot_be_written_ends_the_exchange(own_exchange: ExchangeProcess) -> None:
    broker = build_client(own_exchange, raw=True)
    kept = broker.submit_order(limit("AAPL", 1, "buy", 100))
    resource.prlimit(own_exchange.pid, resource.RLIMIT_FSIZE, (0, 0))

    with pytest.raises(OSError, match=r"aborted|reset|disconnected"):
        broker.submit_order(limit("AAPL", 2, "buy", 100))
    until(lambda: not own_exchange.running, 5)
    own_exchange.restart()
    assert [order["id"] for order in own_exchange.orders("key")] == [kept["id"]]
