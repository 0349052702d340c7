"""Accepted orders, money and settings survive a stop and a kill of the paper exchange."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.exchange_client import WAIT_S, build_client, ended, limit, refused
from tests.exchange_fixtures import ExchangeProcess

KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}


@pytest.fixture
def exchange(start_exchange: Callable[..., ExchangeProcess]) -> Iterator[ExchangeProcess]:
    own = start_exchange("--no-bars")
    yield own
    own.close()


def body(client_order_id: str, **more: str) -> dict[str, str]:
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "10", "time_in_force": "day"}
    return order | {"client_order_id": client_order_id} | more


def test_every_order_that_was_answered_survives_kill_9(exchange: ExchangeProcess) -> None:
    answered: list[dict[str, Any]] = []

    def send(worker: int) -> None:
        with httpx.Client(trust_env=False, headers=KEYS, timeout=WAIT_S) as client:
            for number in range(10_000):
                try:
                    answer = client.post(f"{exchange.url}/v2/orders", json=body(f"{worker}-{number}"))
                except httpx.TransportError:
                    return
                answered.append(answer.json())

    threads = [threading.Thread(target=send, args=[worker]) for worker in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + WAIT_S
    while len(answered) < 100 and time.monotonic() < deadline:
        time.sleep(0.005)
    exchange.kill9()
    for thread in threads:
        thread.join(WAIT_S)
    exchange.start()
    kept = {order["id"]: order["client_order_id"] for order in exchange.orders("key")}

    assert len(answered) >= 100
    assert {order["id"]: order["client_order_id"] for order in answered}.items() <= kept.items()
    # Each sender can have at most one order that was accepted without an answer.
    assert len(kept) <= len(answered) + len(threads)


def test_orders_fills_and_money_are_the_same_after_a_restart(exchange: ExchangeProcess) -> None:
    exchange.admin("prices", {"AAPL": "100"})
    broker = build_client(exchange, raw=True)
    placed = broker.submit_order(limit("AAPL", 10, "buy", 100))
    ended(build_client(exchange), build_client(exchange).get_order_by_id(placed["id"]))
    broker.submit_order(limit("AAPL", 5, "buy", 90))
    ended(build_client(exchange), build_client(exchange).get_orders()[0], "new")

    def picture() -> list[Any]:
        return [
            broker.get_account(), broker.get_all_positions(), broker.get("/orders", {"status": "all"}),
            broker.get("/account/activities/FILL"),
        ]  # fmt: skip

    before = picture()
    exchange.restart()

    assert picture() == before


def test_an_order_that_was_pending_at_the_kill_still_fills(exchange: ExchangeProcess) -> None:
    with httpx.Client(trust_env=False, headers=KEYS) as client:
        client.post(f"{exchange.url}/v2/orders", json=body("pending"))
    exchange.restart()
    broker = build_client(exchange)

    ended(broker, broker.get_order_by_client_id("pending"))


def test_a_used_client_id_and_the_secret_are_known_after_a_restart(exchange: ExchangeProcess) -> None:
    broker = build_client(exchange)
    ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 10, client_order_id="spent")))
    exchange.restart()

    assert refused(lambda: broker.post("/orders", body("spent")))[1]["message"] == "client_order_id must be unique"
    with httpx.Client(trust_env=False, headers=KEYS | {"APCA-API-SECRET-KEY": "other"}) as client:
        assert client.get(f"{exchange.url}/v2/account").status_code == 401


def test_of_many_orders_with_one_id_at_once_one_is_accepted(exchange: ExchangeProcess) -> None:
    async def race() -> list[httpx.Response]:
        async with httpx.AsyncClient(trust_env=False, headers=KEYS, timeout=WAIT_S) as client:
            sends = [client.post(f"{exchange.url}/v2/orders", json=body("same")) for _ in range(20)]
            return list(await asyncio.gather(*sends))

    statuses = sorted(answer.status_code for answer in asyncio.run(race()))

    assert statuses == [200] + [422] * 19
    assert len(exchange.orders("key")) == 1


def test_it_stops_within_a_second_while_clients_wait(exchange: ExchangeProcess) -> None:
    exchange.admin("faults", {"faults": [{"on": "account", "kind": "silence_before"}]})

    async def scenario() -> float:
        async with (
            connect(exchange.url.replace("http", "ws") + "/stream") as websocket,
            httpx.AsyncClient(trust_env=False, headers=KEYS, timeout=WAIT_S) as client,
        ):
            silent = asyncio.create_task(client.get(f"{exchange.url}/v2/account"))
            await asyncio.sleep(0.2)
            took = await asyncio.to_thread(exchange.stop)
            await asyncio.gather(silent, return_exceptions=True)
            await websocket.wait_closed()
            return took

    assert asyncio.run(scenario()) < 3.0


def test_a_second_exchange_in_the_same_home_is_refused(exchange: ExchangeProcess) -> None:
    second = ExchangeProcess(exchange.home, "--no-bars")
    with pytest.raises(RuntimeError, match="another exchange runs in"):
        second.start()
    second.close()
