"""No text that leaves the adapter contains the account's secret."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from rich.console import Console
from rich.traceback import Traceback

from pipeline.model.errors import ConfigInvalid, TradewireError
from tests.unit.brokers import payloads
from tests.unit.brokers.conftest import Play, broker_at
from tests.unit.brokers.payloads import API_KEY, API_SECRET
from tests.unit.brokers.scripted import Act, close, free_port, raw, reply, reset, silence
from workers.brokers.alpaca.adapter import AlpacaBroker, open_broker

CALLS: list[Callable[[AlpacaBroker], Any]] = [
    lambda broker: broker.submit(payloads.request()),
    lambda broker: broker.find("tw-1-1"),
    lambda broker: broker.find_in_list("tw-1-1", since=datetime(2026, 1, 1, tzinfo=UTC)),
    lambda broker: broker.account(),
    lambda broker: broker.orders(status="open"),
    lambda broker: broker.cancel("x"),
    lambda broker: broker.cancel_all(),
    lambda broker: broker.calendar(date(2026, 1, 1), date(2026, 1, 2)),
    lambda broker: broker.transfers(datetime(2026, 1, 1, tzinfo=UTC)),
    lambda broker: broker.price("AAPL"),
    lambda broker: broker.price("BTC/USD"),
]

ACTS: list[Act] = [
    reply(401, {"message": f"bad key {API_SECRET}"}),
    reply(403, {"message": f"forbidden for {API_SECRET}"}),
    reply(422, {"message": f"no: {API_SECRET}"}),
    reply(500, f"<pre>APCA-API-SECRET-KEY: {API_SECRET}</pre>"),
    reply(200, payloads.account(echo=API_SECRET)),
    reply(429, {"message": "too many requests."}),
    reply(503, None, X_Request_ID=API_SECRET),
    raw(f"{API_SECRET}\r\n\r\n".encode(), close=True),
    silence,
    close,
    reset,
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("act", ACTS)
def test_nothing_returned_or_raised_holds_the_secret(play: Play, call: Callable[[AlpacaBroker], Any], act: Act) -> None:
    broker, server = play(act, timeout_s=0.2)

    assert API_SECRET not in _everything_that_can_be_told(call, broker)
    assert API_SECRET in server.seen[0].headers.values()


@pytest.mark.parametrize("call", CALLS)
def test_nothing_told_of_a_broker_that_is_away_holds_the_secret(call: Callable[[AlpacaBroker], Any]) -> None:
    broker = broker_at(f"http://127.0.0.1:{free_port()}")

    assert API_SECRET not in _everything_that_can_be_told(call, broker)


def test_a_broker_does_not_show_its_keys_and_is_not_pickled() -> None:
    broker = broker_at("http://127.0.0.1:1")

    assert API_SECRET not in repr(broker) + str(broker) + repr(broker._session) + str(vars(broker)) + str(
        vars(broker._prices)
    )
    for thing in (broker, broker._session, broker._prices._session):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)


@pytest.mark.parametrize("secret", ["", "two words", "line\nbreak", "ключ"])
def test_keys_that_cannot_be_sent_are_refused_without_saying_them(secret: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        open_broker(api_key="key", api_secret=SecretStr(secret), base_url="http://127.0.0.1:1", timeout_s=1)

    assert [problem.key for problem in caught.value.problems] == ["api_secret"]
    assert not secret or secret not in str(caught.value)


def _everything_that_can_be_told(call: Callable[[AlpacaBroker], Any], broker: AlpacaBroker) -> str:
    console = Console(width=200)
    try:
        told = call(broker)
    except TradewireError as exc:
        with console.capture() as shown:
            console.print(Traceback.from_exception(type(exc), exc, exc.__traceback__, show_locals=True))
        trace = "".join(traceback.TracebackException.from_exception(exc, capture_locals=True).format())
        chain = repr((exc.__cause__, exc.__context__))
        return "\n".join([str(exc), trace, chain, shown.get(), str(pickle.dumps(exc))])
    return "\n".join([repr(told), str(told), str(pickle.dumps(told))])


def test_the_id_of_a_key_that_the_broker_echoes_is_masked(play: Play) -> None:
    broker, server = play(reply(422, {"message": f"no such key: {API_KEY}"}))

    told = repr(broker.submit(payloads.request()))

    assert API_KEY in server.seen[0].headers.values()
    assert API_KEY not in told
    assert "no such key: ***" in told
