"""The trade updates of the paper exchange, read with alpaca-py and with a bare websocket."""

from __future__ import annotations

import asyncio
import json
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.stream import TradingStream
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.exchange_client import WAIT_S, build_client, ended, limit
from tests.exchange_fixtures import ExchangeProcess

KEYS = {"key_id": "key", "secret_key": "secret"}


def test_alpaca_py_receives_each_step_of_an_order(exchange_process: ExchangeProcess) -> None:
    seen: Queue[Any] = Queue()

    async def hear(update: Any) -> None:
        seen.put(update)

    stream = TradingStream("key", "secret", url_override=exchange_process.url.replace("http", "ws") + "/stream")
    stream.subscribe_trade_updates(hear)
    thread = threading.Thread(target=_run, args=[stream])
    thread.start()
    broker = build_client(exchange_process)
    try:
        updates = _hear_an_order(seen, lambda: broker.submit_order(limit("AAPL", 2, "buy", 100)).id)
    finally:
        stream.stop()
        thread.join(WAIT_S)

    assert [update.event for update in updates] == ["pending_new", "new", "fill"]
    assert [update.execution_id is None for update in updates] == [True, False, False]
    assert (updates[-1].price, updates[-1].qty) == (100.0, 2.0)
    assert updates[-1].position_qty == float(broker.get_open_position("AAPL").qty)
    assert not thread.is_alive()


def test_updates_are_binary_frames_and_only_of_the_own_account(exchange_process: ExchangeProcess) -> None:
    async def scenario(websocket: ClientConnection) -> list[Any]:
        build_client(exchange_process, "another").submit_order(limit("MSFT", 1, "buy", 100))
        order = build_client(exchange_process).submit_order(limit("AAPL", 1, "buy", 100))
        frames = [await websocket.recv() for _ in range(3)]
        return [order.client_order_id, *frames]

    mine, *frames = _listening(exchange_process, scenario)

    assert all(isinstance(frame, bytes) for frame in frames)
    assert {json.loads(frame)["data"]["order"]["client_order_id"] for frame in frames} == {mine}


def test_connections_that_never_log_in_leave_room_for_others(exchange_process: ExchangeProcess) -> None:
    async def scenario() -> tuple[int, bytes]:
        url = exchange_process.url.replace("http", "ws") + "/stream"
        idle = [await connect(url) for _ in range(55)]
        refused = await asyncio.gather(*(_closes(each, within_s=0.5) for each in idle))
        await asyncio.gather(*(each.close() for each in idle))
        async with connect(url) as websocket:
            await websocket.send(json.dumps({"action": "authenticate", "data": KEYS}))
            return sum(refused), bytes(await websocket.recv())

    async def _closes(websocket: ClientConnection, *, within_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(websocket.wait_closed(), within_s)
            return True
        return False

    refused, answer = _within(scenario())
    assert refused >= 5
    assert json.loads(answer)["data"]["status"] == "authorized"


def test_a_key_of_two_hundred_and_one_letters_opens_no_account(exchange_process: ExchangeProcess) -> None:
    with pytest.raises(APIError, match="unauthorized"):
        build_client(exchange_process, "k" * 201).get_account()
    assert [each["key"] for each in exchange_process.admin("state")["accounts"] if len(each["key"]) > 200] == []


def test_wrong_keys_and_a_second_connection_are_refused(exchange_process: ExchangeProcess) -> None:
    build_client(exchange_process).get_account()

    async def scenario(_websocket: ClientConnection) -> list[Any]:
        return [await _greet(exchange_process, {**KEYS, "secret_key": "wrong"}), await _greet(exchange_process, KEYS)]

    assert _listening(exchange_process, scenario) == ["unauthorized"] * 2


def test_an_account_can_connect_again_after_its_connection_ends(exchange_process: ExchangeProcess) -> None:
    async def scenario(_websocket: ClientConnection) -> list[Any]:
        return []

    _listening(exchange_process, scenario)
    _listening(exchange_process, scenario)


def test_listening_before_authorizing_is_refused(exchange_process: ExchangeProcess) -> None:
    async def scenario() -> Any:
        async with connect(_url(exchange_process)) as websocket:
            await websocket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
            return json.loads(await websocket.recv())

    assert _within(scenario())["data"] == {"status": "unauthorized", "action": "listen"}


def test_events_can_come_twice_late_or_not_at_all(exchange_process: ExchangeProcess) -> None:
    async def scenario(websocket: ClientConnection) -> list[Any]:
        broker, found = build_client(exchange_process), []
        for kind, expected in (("double_event", 6), ("drop_event", 0), ("late_event", 3)):
            plan = {"faults": [{"on": "stream", "kind": kind, "seconds": 0.1}]}
            exchange_process.admin("faults", plan)
            ended(broker, broker.submit_order(limit("AAPL", 1, "buy", 100)))
            frames = [json.loads(await websocket.recv())["data"] for _ in range(expected)]
            found.append([(frame["event"], frame["execution_id"]) for frame in frames])
        return found

    doubled, dropped, late = _listening(exchange_process, scenario)

    assert doubled[0::2] == doubled[1::2]
    assert dropped == []
    assert [event for event, _ in late] == ["pending_new", "new", "fill"]


def test_a_dropped_stream_can_be_opened_again(exchange_process: ExchangeProcess) -> None:
    async def scenario(websocket: ClientConnection) -> list[Any]:
        plan = {"faults": [{"on": "stream", "kind": "drop_before", "count": 1}]}
        exchange_process.admin("faults", plan)
        build_client(exchange_process).submit_order(limit("AAPL", 1, "buy", 100))
        try:
            await websocket.recv()
        except ConnectionClosed as closed:
            return [closed.rcvd.code if closed.rcvd else None]
        return ["still open"]

    assert _listening(exchange_process, scenario) == [1013]
    assert _listening(exchange_process, _nothing) == []


async def _nothing(_websocket: ClientConnection) -> list[Any]:
    return []


def _run(stream: TradingStream) -> None:
    with warnings.catch_warnings():
        # alpaca-py uses the legacy client of websockets, which warns that it is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        stream.run()


def _hear_an_order(seen: Queue[Any], place: Callable[[], Any]) -> list[Any]:
    """Place orders until the stream delivers all updates of one of them, and return these updates."""
    for _ in range(50):
        wanted = place()
        updates = []
        try:
            while not updates or updates[-1].event != "fill":
                update = seen.get(timeout=0.2)
                if update.order.id == wanted:
                    updates.append(update)
        except Empty:
            continue
        if updates[0].event == "pending_new":
            return updates
    raise AssertionError("the stream never spoke")


def _url(exchange: ExchangeProcess) -> str:
    return exchange.url.replace("http", "ws") + "/stream"


async def _greet(exchange: ExchangeProcess, keys: dict[str, str]) -> str:
    async with connect(_url(exchange)) as websocket:
        await websocket.send(json.dumps({"action": "authenticate", "data": keys}))
        status: str = json.loads(await websocket.recv())["data"]["status"]
        return status


def _listening(exchange: ExchangeProcess, scenario: Callable[[ClientConnection], Awaitable[list[Any]]]) -> list[Any]:
    """Run *scenario* with a connection that receives updates."""

    async def run() -> list[Any]:
        async with connect(_url(exchange)) as websocket:
            await websocket.send(json.dumps({"action": "authenticate", "data": KEYS}))
            assert json.loads(await websocket.recv())["data"]["status"] == "authorized"
            await websocket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
            assert json.loads(await websocket.recv())["stream"] == "listening"
            return await scenario(websocket)

    found: list[Any] = _within(run())
    return found


def _within(work: Any) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work, WAIT_S)

    return asyncio.run(bounded())
