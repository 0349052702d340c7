"""The replay source with the real paper exchange, and with an exchange that answers wrongly, over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from pipeline.intake.sources import replay as replay_module
from pipeline.intake.sources.bars import load_bars
from pipeline.intake.sources.consensus import WINDOW, consensus
from pipeline.intake.sources.replay import ReplaySource
from pipeline.model.errors import SourceUnavailable
from pipeline.model.signals import read_signal
from tests.exchange_fixtures import TOKEN
from tests.integration.sources.http_server import answering
from workers.exchange.tape import Tape

NEVER = threading.Event()


class Exchange:
    """The real exchange in a process of its own; its cycles turn when the test says so."""

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = ["--home", str(self._home), "--port", str(self.port), "--cadence", "600"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workers.exchange", *command],
            stdout=subprocess.PIPE,
            env=os.environ | {"TRADEWIRE_EXCHANGE_TOKEN": TOKEN},
        )
        assert self._process.stdout is not None
        assert b"listening" in self._process.stdout.readline()

    def turn(self, cycles: int = 1) -> None:
        login = {"Authorization": f"Bearer {TOKEN}"}
        httpx.post(f"{self.url}/admin/bars", json={"turn": cycles}, headers=login, trust_env=False).raise_for_status()

    def closes(self) -> dict[str, str]:
        """Return the closing prices at the exchange's cursor, from its public route."""
        cycles = httpx.get(f"{self.url}/bars", trust_env=False).json()["cycles"]
        return {bar["symbol"]: bar["close"] for bar in cycles[-1]["bars"]}

    def end(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    running = Exchange(tmp_path)
    yield running
    running.end(signal.SIGKILL)


@pytest.fixture
def opened() -> Iterator[Callable[..., ReplaySource]]:
    sources = []

    def open_replay(url: str, **changes: Any) -> ReplaySource:
        source = ReplaySource(**{"exchange_url": url, "cadence_s": 0.05, **changes})
        sources.append(source)
        return source

    yield open_replay
    for source in sources:
        source.close()


def poll(source: ReplaySource) -> list[dict[str, Any]]:
    """Poll until the source returns signals; the current cycle must have some."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if items := source.poll(NEVER):
            return [dict(item) for item in items]  # type: ignore[call-overload]
    pytest.fail("no signal came")


def test_every_signal_has_the_price_that_the_exchange_trades_at(
    exchange: Exchange, opened: Callable[..., ReplaySource]
) -> None:
    source = opened(exchange.url)

    seen = 0
    for _ in range(12):
        signals = [dict(item) for item in source.poll(NEVER)]  # type: ignore[call-overload]
        closes = exchange.closes()
        assert {item["symbol"]: item["entry_price"] for item in signals}.items() <= closes.items()
        assert [read_signal(item).source for item in signals] == ["replay"] * len(signals)
        seen += len(signals)
        exchange.turn()
    assert seen >= 6


def test_the_first_signals_are_of_the_first_cycle(exchange: Exchange, opened: Callable[..., ReplaySource]) -> None:
    assert {item["source_id"][-10:] for item in poll(opened(exchange.url))} == {"2005-01-03"}


def test_a_restart_of_the_replay_returns_the_same_signals_for_the_same_cycle(
    exchange: Exchange, opened: Callable[..., ReplaySource]
) -> None:
    exchange.turn(20)
    first, again = poll(opened(exchange.url)), poll(opened(exchange.url))

    assert [read_signal(item).content_hash() for item in first] == [read_signal(item).content_hash() for item in again]
    assert [item["source_id"] for item in first] == [item["source_id"] for item in again]


def test_a_killed_exchange_is_unavailable_and_goes_on_where_it_was(
    exchange: Exchange, opened: Callable[..., ReplaySource]
) -> None:
    source = opened(exchange.url)
    exchange.turn(30)
    before = poll(source)
    exchange.end(signal.SIGKILL)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        source.poll(NEVER)
    exchange.start()

    assert list(source.poll(NEVER)) == []
    exchange.turn()
    after = poll(source)

    days = [day.date.isoformat() for day in load_bars().days]
    first, second = before[0]["source_id"][-10:], after[0]["source_id"][-10:]
    assert days.index(second) == days.index(first) + 1


def test_missed_cycles_are_logged_and_only_the_newest_is_traded(
    exchange: Exchange, opened: Callable[..., ReplaySource]
) -> None:
    source = opened(exchange.url)
    poll(source)
    exchange.turn(3)

    with capture_logs() as logs:
        signals = poll(source)

    assert [(line["event"], line["missed"]) for line in logs] == [("replay.cycles_missed", 2)]
    assert len({item["source_id"][-10:] for item in signals}) == 1


def test_a_day_of_the_second_lap_looks_back_on_the_warm_up_and_not_on_the_end_of_the_first(
    exchange: Exchange, opened: Callable[..., ReplaySource]
) -> None:
    first = poll(opened(exchange.url))
    exchange.turn(load_bars().played)

    second = poll(opened(exchange.url))

    assert [item["source_id"] for item in second] == [f"2{item['source_id'][1:]}" for item in first]
    assert [item | {"source_id": ""} for item in second] == [item | {"source_id": ""} for item in first]
    # No signal contains this machine's time of day, which may be wrong.
    assert {item["generated_at"] for item in first} == {None}


def test_signals_are_the_consensus_on_the_shipped_bars(exchange: Exchange, opened: Callable[..., ReplaySource]) -> None:
    exchange.turn(99)
    bars = load_bars()
    window = bars.days[bars.first_played + 100 - WINDOW : bars.first_played + 100]

    for item in poll(opened(exchange.url)):
        opinion = consensus([bar for day in window for bar in day.bars if bar.symbol == item["symbol"]])
        assert opinion is not None
        assert Decimal(item["confidence"]) == opinion.confidence
        assert item["action"] == opinion.action


class Odd(ThreadingHTTPServer):
    """An exchange that gives the answers that the test sets, and otherwise the true ones."""

    answers: dict[str, bytes | int]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _OddHandler)
        self.tape, self.cursor = Tape(load_bars()), 5
        self.answers = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class _OddHandler(BaseHTTPRequestHandler):
    server: Odd

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        answer = self.server.answers.get(address.path)
        if isinstance(answer, int):
            self.send_error(answer)
            return
        if answer is None:
            asked = {name: int(values[0]) for name, values in parse_qs(address.query).items() if name != "wait"}
            answer = json.dumps(self._true_answer(address.path, asked)).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def _true_answer(self, path: str, asked: dict[str, int]) -> dict[str, Any]:
        if path == "/bars":
            return {"cursor": self.server.cursor, "cadence_s": 0.05, "cycles": []}
        return {"cycles": self.server.tape.history(asked["until"], asked["days"])}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Log nothing."""


@pytest.fixture
def odd() -> Iterator[Odd]:
    server = Odd()
    with answering(server):
        yield server


HISTORY = Tape(load_bars()).history(5, WINDOW)
BAD_CLOSE = {**HISTORY[-1], "bars": [{**HISTORY[-1]["bars"][0], "close": "NaN"}]}


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/bars", 503, "answered /bars with 503"),
        ("/bars", 302, "answered /bars with 302"),
        ("/bars", b"<html>", "answer to /bars cannot be read"),
        ("/bars", b"[]", "answer to /bars cannot be read"),
        ("/bars", b'{"cursor": "many", "cadence_s": 5}', "cannot be read: cursor"),
        ("/bars/history", 422, "answered /bars/history with 422"),
        ("/bars/history", b"{}", "cannot be read: cycles"),
        ("/bars/history", b'{"cycles": []}', "no history until its own cursor 5"),
        ("/bars/history", json.dumps({"cycles": HISTORY[:-1]}).encode(), "no history until its own cursor 5"),
        ("/bars/history", json.dumps({"cycles": HISTORY[::-1]}).encode(), "no history until its own cursor"),
        ("/bars/history", json.dumps({"cycles": [HISTORY[-2], *HISTORY]}).encode(), "order of its days"),
        ("/bars/history", json.dumps({"cycles": [BAD_CLOSE]}).encode(), "cannot be read: cycles.0.bars.0.close"),
    ],
)
def test_an_answer_that_makes_no_sense_is_no_signal_and_the_next_good_one_is(
    odd: Odd, opened: Callable[..., ReplaySource], path: str, answer: bytes | int, message: str
) -> None:
    source = opened(odd.url)
    odd.answers = {path: answer}
    with pytest.raises(SourceUnavailable, match=message):
        source.poll(NEVER)
    odd.answers = {}

    assert poll(source)


def test_an_exchange_without_bars_gives_nothing_and_then_is_a_fault(
    odd: Odd, opened: Callable[..., ReplaySource], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(odd.url)
    odd.answers = {"/bars": b'{"cursor": null, "cadence_s": 0.01, "cycles": []}'}
    assert list(source.poll(NEVER)) == []
    monkeypatch.setattr(replay_module, "_STALLED_S", 0.01)
    time.sleep(0.1)

    with pytest.raises(SourceUnavailable, match="has played no new bar"):
        source.poll(NEVER)


def test_a_stalled_exchange_is_a_fault_until_it_plays_again(
    odd: Odd, opened: Callable[..., ReplaySource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "_STALLED_S", 0.01)
    source = opened(odd.url)
    poll(source)
    time.sleep(0.4)
    with pytest.raises(SourceUnavailable, match="no new bar since cursor 5"):
        source.poll(NEVER)
    odd.cursor = 6

    assert poll(source)


def test_an_exchange_that_begins_anew_is_followed(odd: Odd, opened: Callable[..., ReplaySource]) -> None:
    """The exchange's data was deleted, so its cursor is smaller than before."""
    source = opened(odd.url)
    odd.cursor = 500
    poll(source)
    odd.cursor = 1

    assert {item["source_id"][-10:] for item in poll(source)} == {"2005-01-03"}


def test_an_exchange_that_does_not_wait_as_asked_is_not_asked_without_a_pause(
    odd: Odd, opened: Callable[..., ReplaySource]
) -> None:
    source = opened(odd.url)
    poll(source)
    begun = time.monotonic()
    for _ in range(3):
        assert list(source.poll(NEVER)) == []

    assert time.monotonic() - begun >= 0.3
