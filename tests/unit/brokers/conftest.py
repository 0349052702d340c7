"""Open the adapter at a server with scripted answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from pydantic import SecretStr

from tests.unit.brokers.payloads import API_KEY, API_SECRET
from tests.unit.brokers.scripted import Act, ScriptedServer
from workers.brokers.alpaca.adapter import AlpacaBroker, open_broker

Play = Callable[..., tuple[AlpacaBroker, ScriptedServer]]


def broker_at(url: str, *, timeout_s: float = 5.0) -> AlpacaBroker:
    broker = open_broker(api_key=API_KEY, api_secret=SecretStr(API_SECRET), base_url=url, timeout_s=timeout_s)
    assert isinstance(broker, AlpacaBroker)
    return broker


@pytest.fixture
def play() -> Iterator[Play]:
    """Return a function that starts a server with scripted answers and opens the adapter at it."""
    with ExitStack() as stack:

        def start(*script: Act, timeout_s: float = 5.0, tls: bool = False) -> tuple[AlpacaBroker, ScriptedServer]:
            server = stack.enter_context(ScriptedServer(list(script), tls=tls))
            broker = broker_at(server.url, timeout_s=timeout_s)
            stack.callback(broker.close)
            return broker, server

        yield start
