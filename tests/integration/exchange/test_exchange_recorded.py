"""The paper exchange's answers have the same fields, kinds of values and texts as recorded answers of the broker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.exchange_client import WAIT_S, build_client, ended, limit, market
from tests.exchange_fixtures import ExchangeProcess

_RECORDED = Path(__file__).parents[2] / "payloads" / "alpaca"
_KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
_ORDER = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "day"}
_NOT_FOUND = "98779db4-3161-4eb9-a753-003751bc8b0f"
#: The kinds of text; the first pattern that matches decides.
_KINDS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "day": r"\d{4}-\d\d-\d\d",
    "activity": r"\d{17}::[0-9a-f-]{36}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "ulid": r"[0-9A-HJKMNP-TV-Z]{26}",
    "number": r"-?\d+(\.\d+)?",
}


def recorded(name: str) -> Any:
    return json.loads((_RECORDED / f"{name}.json").read_text())


def kind(value: Any) -> str:
    """Return the kind of a text, or the type of any other value."""
    if isinstance(value, str):
        return next((name for name, shape in _KINDS.items() if re.fullmatch(shape, value)), "text")
    return type(value).__name__


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Return the fields of *wanted* that *found* lacks or has with another kind of value; null agrees with any."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        lacking = [f"{path}.{name} is missing" for name in wanted if name not in found]
        return lacking + [
            each
            for name in wanted
            if name in found
            for each in differences(found[name], wanted[name], f"{path}.{name}")
        ]
    if wanted is None or found is None or kind(found) == kind(wanted):
        return []
    return [f"{path} is {found!r}, not a {kind(wanted)}"]


def _stream(exchange: ExchangeProcess) -> str:
    return exchange.url.replace("http", "ws") + "/stream"


@pytest.fixture
def client(exchange_process: ExchangeProcess) -> Iterator[httpx.Client]:
    exchange_process.admin("prices", {"AAPL": "100"})
    with httpx.Client(base_url=exchange_process.url, headers=_KEYS, trust_env=False) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "status", "ask"),
    [
        (
            "error-403-insufficient-buying-power",
            403,
            lambda client: client.post("/v2/orders", json=_ORDER | {"limit_price": "100", "qty": "9000"}),
        ),
        ("error-404-order-not-found-on-cancel", 404, lambda client: client.delete(f"/v2/orders/{_NOT_FOUND}")),
        ("error-422-invalid-activity-type", 422, lambda client: client.get("/v2/account/activities/INVALID")),
        (
            "error-422-limit-orders-require-only-limit-price",
            422,
            lambda client: client.post("/v2/orders", json=_ORDER | {"extended_hours": True}),
        ),
        (
            "error-422-sub-penny-limit",
            422,
            lambda client: client.post("/v2/orders", json=_ORDER | {"limit_price": "290.123"}),
        ),
        (
            "error-422-sub-penny-stop",
            422,
            lambda client: client.post("/v2/orders", json=_ORDER | {"type": "stop", "stop_price": "290.123"}),
        ),
    ],
)
def test_a_refusal_has_the_text_of_the_recorded_one(
    client: httpx.Client, name: str, status: int, ask: Callable[[httpx.Client], httpx.Response]
) -> None:
    answer = ask(client)

    assert answer.status_code == status
    assert {field: answer.json()[field] for field in recorded(name)} == recorded(name)


def test_the_account_has_the_recorded_fields(client: httpx.Client) -> None:
    assert differences(client.get("/v2/account").json(), recorded("account-options-2026")) == []


def test_transfers_and_fills_have_the_recorded_fields(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("accounts", {"key": "key", "deposit": "1234"})
    typed = build_client(exchange_process)
    ended(typed, typed.submit_order(limit("LTC/USD", 1, "buy", 67.31, time_in_force="gtc")))
    ended(typed, typed.submit_order(market("AAPL", 1, "buy")))
    deposit = client.get("/v2/account/activities/CSD").json()[0]
    share, coin = client.get("/v2/account/activities/FILL").json()

    assert differences(deposit, recorded("activities-non-trade-2026")[0]) == []
    assert re.fullmatch(r"\d{8}0{9}::.*", deposit["id"])
    assert differences(coin, recorded("activity-fill-crypto-2022")[0]) == []
    assert "swap_rate" not in share


@pytest.mark.parametrize("name", ["calendar-2019-june", "derived-calendar-half-day"])
def test_the_calendar_has_the_recorded_days(client: httpx.Client, name: str) -> None:
    days = recorded(name)
    answer = client.get("/v2/calendar", params={"start": days[0]["date"], "end": days[-1]["date"]}).json()

    assert [{field: day[field] for field in days[0]} for day in answer] == days


def test_the_clock_at_night_is_the_recorded_one(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    wanted = recorded("clock-2024-night")
    exchange_process.admin("clock", {"mode": "fixed", "now": wanted["timestamp"]})
    found = client.get("/v2/clock").json()

    assert differences(found, wanted) == []
    assert {**found, "timestamp": ""} == {**wanted, "timestamp": ""}


def test_positions_that_are_closed_answer_with_the_recorded_rows(
    client: httpx.Client, exchange_process: ExchangeProcess
) -> None:
    typed = build_client(exchange_process)
    ended(typed, typed.submit_order(market("AAPL", 1, "buy")))

    assert differences(client.delete("/v2/positions").json()[0], recorded("multi-207-close-positions")[0]) == []


@pytest.mark.parametrize(("secret", "name"), [("secret", "stream-authorization-0"), ("x", "stream-authorization-1")])
def test_a_login_at_the_stream_is_answered_as_recorded(
    client: httpx.Client, exchange_process: ExchangeProcess, secret: str, name: str
) -> None:
    client.get("/v2/account")
    with connect(_stream(exchange_process)) as stream:
        stream.send(json.dumps({"action": "authenticate", "data": {"key_id": "key", "secret_key": secret}}))

        assert json.loads(stream.recv(timeout=WAIT_S)) == recorded(name)


def test_events_have_the_recorded_fields_and_no_others(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    exchange_process.admin("faults", {"faults": [{"on": "submit", "kind": "partial_fill", "seconds": 0.1}]})
    with connect(_stream(exchange_process)) as stream:
        stream.send(json.dumps({"action": "authenticate", "data": {"key_id": "key", "secret_key": "secret"}}))
        stream.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        for _ in range(2):
            stream.recv(timeout=WAIT_S)
        order = limit("LTC/USD", 1, "buy", 67.31, time_in_force="gtc", client_order_id="made-up-1")
        build_client(exchange_process).submit_order(order)
        frames = [json.loads(stream.recv(timeout=WAIT_S)) for _ in range(4)]
    events = {frame["data"]["event"]: frame for frame in frames}

    for event, name in (("new", "stream-new-2026"), ("fill", "stream-fill-2026")):
        wanted = recorded(name)
        assert differences(events[event], wanted) == []
        assert set(events[event]["data"]) == set(wanted["data"])
        assert set(events[event]["data"]["order"]) == set(wanted["data"]["order"])
    assert differences(events["partial_fill"]["data"]["order"]["status"], "partially_filled") == []
    ids = [frame["data"]["event_id"] for frame in frames]
    assert len(set(ids)) == 4
    assert [each[:10] for each in ids] == sorted(each[:10] for each in ids)


def test_an_event_shows_when_the_cancel_was_requested(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    typed = build_client(exchange_process)
    order = ended(typed, typed.submit_order(limit("AAPL", 1, "buy", 90)), "new")
    with connect(_stream(exchange_process)) as stream:
        stream.send(json.dumps({"action": "authenticate", "data": {"key_id": "key", "secret_key": "secret"}}))
        stream.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        for _ in range(2):
            stream.recv(timeout=WAIT_S)
        client.delete(f"/v2/orders/{order.id}")
        canceled = json.loads(stream.recv(timeout=WAIT_S))["data"]

    assert canceled["event"] == "canceled"
    assert canceled["order"]["cancel_requested_at"] <= canceled["order"]["canceled_at"]


def test_orders_until_canceled_end_on_the_brokers_day(client: httpx.Client, exchange_process: ExchangeProcess) -> None:
    # The recorded order of a coin was placed on September 18 and ends on December 16 at 16:00 in New York.
    assert recorded("stream-new-2026")["data"]["order"]["expires_at"] == "2026-12-16T21:00:00Z"
    typed = build_client(exchange_process)
    coin = typed.submit_order(limit("DOGE/USD", 1000, "buy", 0.1, time_in_force="gtc"))
    share = typed.submit_order(limit("AAPL", 1, "buy", 90, time_in_force="gtc"))

    assert (coin.expires_at.date() - coin.created_at.date()).days in {88, 89, 90}
    assert (share.expires_at.minute, coin.expires_at.minute) == (15, 0)
