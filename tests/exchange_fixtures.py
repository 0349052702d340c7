"""Fixtures: the paper exchange as a real process, which tests stop, kill and start again."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import patience

#: The token for the admin routes of every exchange in the tests.
TOKEN = "the-admin-token-of-the-tests"
_START_S = 20.0
_STOP_S = 5.0


class ExchangeProcess:
    """One exchange in a folder of its own. After a restart it listens on the same port."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self.url = ""
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        login = {"Authorization": f"Bearer {TOKEN}"}
        self._client = httpx.Client(headers=login, timeout=patience(10), trust_env=False)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it serves."""
        port = self.url.rpartition(":")[2] or "0"
        command = [sys.executable, "-m", "workers.exchange", "--port", port, "--home", str(self.home)]
        with (self.home / "exchange.log").open("a") as output:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env=os.environ | {"TRADEWIRE_EXCHANGE_TOKEN": TOKEN},
            )
        line = _first_line(self._process)
        if not line.startswith("exchange listening on "):
            self.kill9()
            raise RuntimeError(f"the exchange did not start: {(self.home / 'exchange.log').read_text()[-2000:]}")
        self.url = line.split()[-1]

    def stop(self) -> float:
        """Send SIGTERM, wait for the end, and return the seconds that it took."""
        return self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again with the same home and port; kill it first if it still runs."""
        self.kill9()
        self.start()

    def freeze(self) -> None:
        """Freeze it; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def admin(self, path: str, body: object = None) -> Any:
        """POST *body* to `/admin/<path>`, or GET the path when there is no body."""
        answer = self._client.get(f"{self.url}/admin/{path}") if body is None else self.post(path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object) -> httpx.Response:
        """POST *body* to `/admin/<path>` and return the answer, even if it is an error."""
        return self._client.post(f"{self.url}/admin/{path}", json=body)

    def orders(self, key: str) -> list[dict[str, Any]]:
        """Return every order that the account of *key* ever had."""
        answer = self._client.get(f"{self.url}/admin/orders", params={"key": key})
        assert answer.status_code == 200, answer.text
        orders: list[dict[str, Any]] = answer.json()
        return orders

    def requests(self, key: str) -> dict[str, Any]:
        """Return the exchange's counts of requests by the account of *key*."""
        answer = self._client.get(f"{self.url}/admin/requests", params={"key": key})
        assert answer.status_code == 200, answer.text
        counted: dict[str, Any] = answer.json()
        return counted

    def close(self) -> None:
        """Kill the process, and close the HTTP client."""
        self.kill9()
        self._client.close()

    def _end(self, number: signal.Signals) -> float:
        process, began = self._process, time.monotonic()
        self._process = None
        if process is None:
            return 0.0
        with process:
            process.send_signal(number)
            process.wait(_STOP_S)
        return time.monotonic() - began


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _START_S)
    return process.stdout.readline().strip() if ready else ""


@pytest.fixture(scope="session")
def start_exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., ExchangeProcess]]:
    """Return a function that starts an exchange in an empty home; all exchanges end with the session."""
    started: list[ExchangeProcess] = []

    def start(*arguments: str) -> ExchangeProcess:
        exchange = ExchangeProcess(tmp_path_factory.mktemp("exchange"), *arguments)
        started.append(exchange)
        exchange.start()
        return exchange

    yield start
    for exchange in started:
        exchange.close()


@pytest.fixture(scope="session")
def _shared_exchange(start_exchange: Callable[..., ExchangeProcess]) -> ExchangeProcess:
    return start_exchange("--no-bars")


@pytest.fixture
def exchange_process(_shared_exchange: ExchangeProcess) -> ExchangeProcess:
    """The session's exchange without bars, reset for this test: no orders, no faults, market always open."""
    if not _shared_exchange.running:
        _shared_exchange.start()
    _shared_exchange.admin("clock", {"mode": "always_open"})
    _shared_exchange.admin("reset", {})
    return _shared_exchange
