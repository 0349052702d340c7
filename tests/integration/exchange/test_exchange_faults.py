"""The injected faults of the paper exchange, as a client sees them."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
import pytest

from tests.exchange_client import WAIT_S, build_client, ended, limit
from tests.exchange_fixtures import ExchangeProcess

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}


def fault(exchange: ExchangeProcess, kind: str, on: str = "submit", **more: Any) -> None:
    exchange.admin("faults", {"seed": 1, "faults": [{"on": on, "kind": kind, **more}]})


def submit(exchange: ExchangeProcess, client_order_id: str, timeout_s: float = 5.0, **more: Any) -> httpx.Response:
    body = {"symbol": "AAPL", "qty": "2", "side": "buy", "type": "limit", "limit_price": "100", "time_in_force": "day"}
    with httpx.Client(trust_env=False, headers=KEYS, timeout=timeout_s) as client:
        return client.post(f"{exchange.url}/v2/orders", json=body | more | {"client_order_id": client_order_id})


def accepted(exchange: ExchangeProcess) -> set[str]:
    return {order["client_order_id"] for order in exchange.orders("key")}


@pytest.mark.parametrize(
    ("kind", "more", "status", "text"),
    [
        ("429", {}, 429, '{"message":"too many requests."}'),
        ("5xx_before", {"status": 502}, 502, "internal server error"),
        ("html", {}, 502, "<html>"),
        ("garbage_before", {}, 200, '{"id": "61e6'),
        ("unauthorized", {}, 401, '{"message":"unauthorized."}'),
        ("forbidden_account", {}, 403, "account is not authorized to trade"),
        ("reject", {"status": 422, "message": "no today"}, 422, '{"code":42210000,"message":"no today"}'),
    ],
)
def test_a_fault_before_leaves_no_order(
    exchange_process: ExchangeProcess, kind: str, more: dict[str, Any], status: int, text: str
) -> None:
    fault(exchange_process, kind, **more)
    answer = submit(exchange_process, "lost")

    assert answer.status_code == status
    assert text in answer.text
    assert accepted(exchange_process) == set()


@pytest.mark.parametrize(("kind", "status"), [("5xx_after", 504), ("garbage", 200)])
def test_a_fault_after_leaves_an_order_behind(exchange_process: ExchangeProcess, kind: str, status: int) -> None:
    fault(exchange_process, kind)
    answer = submit(exchange_process, "kept")

    assert answer.status_code == status
    assert "kept" not in answer.text
    assert accepted(exchange_process) == {"kept"}


@pytest.mark.parametrize(("kind", "kept"), [("drop_before", set()), ("drop_after", {"order"})])
def test_a_dropped_connection_gives_no_answer(exchange_process: ExchangeProcess, kind: str, kept: set[str]) -> None:
    fault(exchange_process, kind)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        submit(exchange_process, "order")

    assert accepted(exchange_process) == kept


@pytest.mark.parametrize(("kind", "kept"), [("silence_before", set()), ("silence_after", {"order"})])
def test_silence_lasts_until_the_client_leaves(exchange_process: ExchangeProcess, kind: str, kept: set[str]) -> None:
    fault(exchange_process, kind)
    with pytest.raises(httpx.ReadTimeout):
        submit(exchange_process, "order", timeout_s=0.3)

    assert accepted(exchange_process) == kept


def test_silence_ends_with_a_cut_connection_after_its_time(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "silence_before", seconds=0.1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        submit(exchange_process, "order")


def test_latency_delays_the_answer_and_nothing_else(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "latency", seconds=0.2)
    began = time.monotonic()
    answer = submit(exchange_process, "slow")

    assert answer.status_code == 200
    assert time.monotonic() - began >= 0.2


def test_a_partial_fill_comes_in_two(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "partial_fill", seconds=0.3)
    broker = build_client(exchange_process)
    order = broker.submit_order(limit("AAPL", 3, "buy", 100))
    part = ended(broker, order, "partially_filled")
    whole = ended(broker, order)

    assert (part.filled_qty, whole.filled_qty) == ("1", "3")
    kinds = [each["type"] for each in broker.get("/account/activities/FILL", {"direction": "asc"})]
    assert kinds == ["partial_fill", "fill"]


def test_an_order_that_may_not_fill_rests(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "no_fill")
    broker = build_client(exchange_process)
    order = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100)), "new")
    exchange_process.admin("prices", {"AAPL": "90"})

    assert broker.get_order_by_id(order.id).status == "new"


def test_an_order_that_may_not_fill_yet_fills_in_its_time(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "no_fill", seconds=0.2)
    broker = build_client(exchange_process)
    order = ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100)), "new")

    ended(broker, order)


def test_an_order_can_be_rejected_after_it_was_accepted(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "late_reject")
    broker = build_client(exchange_process)
    order = broker.submit_order(limit("AAPL", 1, "buy", 100))

    assert ended(broker, order, "rejected").failed_at is not None
    assert broker.get_account().buying_power == "400000"


def test_reads_lag_behind_accepted_orders(exchange_process: ExchangeProcess) -> None:
    exchange_process.admin(
        "faults", {"faults": [{"on": on, "kind": "lagging_reads", "seconds": 0.5} for on in ("lookup", "list")]}
    )
    submit(exchange_process, "unseen")
    url = f"{exchange_process.url}/v2/orders"
    with httpx.Client(trust_env=False, headers=KEYS) as client:
        early = client.get(f"{url}:by_client_order_id", params={"client_order_id": "unseen"})
        listed = client.get(url, params={"status": "all"})
        deadline = time.monotonic() + WAIT_S
        while client.get(f"{url}:by_client_order_id", params={"client_order_id": "unseen"}).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert (early.status_code, listed.json()) == (404, [])


def test_a_fault_strikes_its_account_its_symbol_and_its_count_only(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "429", key="key", symbol="AAPL", count=1)
    other = build_client(exchange_process, "other").submit_order(limit("AAPL", 1, "buy", 100))
    answers = [
        submit(exchange_process, "a", symbol="MSFT").status_code,
        submit(exchange_process, "b").status_code,
        submit(exchange_process, "c").status_code,
    ]

    assert other.status == "pending_new"
    assert answers == [200, 429, 200]
    assert exchange_process.admin("faults")["faults"][0]["hits"] == 1


def test_the_same_seed_strikes_the_same_requests(exchange_process: ExchangeProcess) -> None:
    def run() -> list[int]:
        plan = {"seed": 7, "faults": [{"on": "submit", "kind": "5xx_before", "probability": 0.5}]}
        exchange_process.admin("faults", plan)
        return [submit(exchange_process, str(uuid.uuid4())).status_code for _ in range(20)]

    first = run()

    assert first == run()
    assert set(first) == {200, 503}


def test_reads_can_fail_on_their_own(exchange_process: ExchangeProcess) -> None:
    paths = {
        "lookup": "orders:by_client_order_id", "list": "orders", "account": "account", "positions": "positions",
        "clock": "clock", "assets": "assets/AAPL", "activities": "account/activities/FILL",
    }  # fmt: skip
    with httpx.Client(trust_env=False, headers=KEYS) as client:
        for on in paths:
            fault(exchange_process, "5xx_before", on=on)
            found = {each: client.get(f"{exchange_process.url}/v2/{paths[each]}").status_code for each in paths}

            assert [each for each in found if found[each] == 503] == [on]


def test_an_invalid_fault_plan_is_refused_and_changes_nothing(exchange_process: ExchangeProcess) -> None:
    fault(exchange_process, "429")
    answers = [
        exchange_process.post("faults", {"faults": [each]})
        for each in (
            {"on": "submit", "kind": "earthquake"},
            {"on": "submit", "kind": "429", "probability": 2},
            {"on": "submit", "kind": "reject", "status": 500},
            {"on": "submit", "kind": "429", "sometimes": True},
        )
    ]

    assert [answer.status_code for answer in answers] == [422] * 4
    assert submit(exchange_process, "x").status_code == 429
