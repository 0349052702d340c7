"""Events of a drill wait while their server is down."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.entrypoints.drill.breaking import Breaker, DrilledSystem
from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.schedule import Act, DrillEvent, Target

FLUSH = DrillEvent(at_s=0.0, act=Act.FLUSH, target=Target.VALKEY)


class Server:
    """Valkey, which is down for the first *down* tries to flush it."""

    def __init__(self, down: int) -> None:
        self.down, self.tries = down, 0

    def flush(self) -> bool:
        self.tries += 1
        return self.tries > self.down


@pytest.fixture
def exchange() -> Iterator[ExchangeAdmin]:
    """An exchange that is away, so that its faults stay pending."""
    with closing(ExchangeAdmin("http://127.0.0.1:1", "token")) as away:
        yield away


def breaker(server: Server, exchange: ExchangeAdmin) -> Breaker:
    system = SimpleNamespace(flush=server.flush, restart_ended=lambda: None)
    return Breaker(drilled=cast("DrilledSystem", system), exchange=exchange, seed=1)


def test_an_event_that_its_server_missed_is_carried_out_once_when_the_server_is_back(exchange: ExchangeAdmin) -> None:
    server = Server(down=3)
    breaking = breaker(server, exchange)

    breaking.play([FLUSH], begins=time.monotonic(), tick=lambda: None)
    breaking.maintain()

    assert (server.tries, breaking.tally) == (4, {"flush valkey": 1})


def test_nothing_is_broken_any_more_after_the_faults_are_ended(exchange: ExchangeAdmin) -> None:
    server = Server(down=1)
    breaking = breaker(server, exchange)
    breaking.carry_out(FLUSH)

    breaking.end_faults()
    breaking.maintain()

    assert (server.tries, breaking.tally) == (1, {})
