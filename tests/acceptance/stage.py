"""A whole system whose servers a test can stop and start."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import httpx
import psutil

from tests.acceptance.system import System, a_signal
from tests.embedded_server import EmbeddedServer
from tests.exchange_fixtures import ExchangeProcess
from tests.folders import server_home
from tests.waiting import patience

BOTH = ("argo", "prop_firm")
#: All accepted signals are decided within this time after an outage, on an idle machine.
DECIDED_WITHIN_S = 40.0


class Stage:
    """Runs PostgreSQL, Valkey and the exchange as processes of the test, and `tradewire up` with their addresses."""

    def __init__(self, home: Path, exchange: ExchangeProcess, **environment: str) -> None:
        self.home = home
        self.exchange = exchange
        self.postgres = EmbeddedServer.postgres(home / "postgres")
        self.valkey = EmbeddedServer.valkey(home / "valkey")
        self.postgres.start()
        self.valkey.start()
        self._fifo = home / "signals"
        os.mkfifo(self._fifo)
        self._pipe: TextIO | None = None
        self._symbols = iter(_names())
        self._read_up_to: dict[Path, int] = {}
        self.system = System(
            home / "up",
            executors="config/executors.load.toml",
            DATABASE_URL=self.postgres.url,
            REDIS_URL=self.valkey.url,
            TRADEWIRE_EXCHANGE_URL=exchange.url,
            TRADEWIRE_SOURCE_FILE=str(self._fifo),
            **environment,
        )

    def open(self) -> None:
        """Start `up`, whose producer reads the signals that `produce` writes, and wait until it executes signals."""
        self.system.up("--source", "file")
        self._pipe = self._fifo.open("w", buffering=1)
        self.well()
        first = self.fresh(2)
        self.produce(first)
        self.decided(first)

    def well(self) -> None:
        """Wait until `/ready` answers that all is well."""
        self.system.until(lambda: self.ready()[0] == 200, within_s=30, what=f"all is well: {self.ready()}")

    def close(self) -> None:
        """End all processes."""
        if self._pipe is not None:
            self._pipe.close()
        process = self.system.process
        if process is not None and process.poll() is None:
            children = self.system.children()
            self.system.stop()
            for child in children:
                if child.is_running():
                    child.kill()
        self.valkey.stop()
        self.postgres.stop()

    def fresh(self, count: int) -> list[str]:
        """Return *count* symbols that no test has used yet."""
        return [next(self._symbols) for _ in range(count)]

    def produce(self, symbols: Iterable[str]) -> None:
        """Write a signal for each symbol to the producer's input."""
        assert self._pipe is not None
        for symbol in symbols:
            self._pipe.write(json.dumps(a_signal(symbol)) + "\n")

    def accepted(self, symbols: Iterable[str]) -> list[str]:
        """Send a signal for each symbol with `tradewire signal send`; return the symbols that were acknowledged."""
        symbols = list(symbols)
        answers = self.system.send(a_signal(symbol) for symbol in symbols)
        assert len(answers) == len(symbols), answers
        return [symbol for symbol, answer in zip(symbols, answers, strict=True) if "signal_id" in answer]

    def orders_of(self, symbols: Iterable[str]) -> dict[str, Counter[str]]:
        """Return how many orders each executor's account at the exchange has for each of *symbols*."""
        wanted = set(symbols)
        return {
            name: Counter(order["symbol"] for order in self.exchange.orders(name) if order["symbol"] in wanted)
            for name in BOTH
        }

    def one_order_each(self, symbols: Iterable[str]) -> bool:
        """Return whether every symbol has exactly one order at each executor."""
        once = Counter(symbols)
        return all(orders == once for orders in self.orders_of(once).values())

    def decided(self, symbols: Iterable[str]) -> None:
        """Wait until each of *symbols* has one order at each executor; a second later it must still be one."""
        symbols = list(symbols)
        self.system.until(
            lambda: self.one_order_each(symbols),
            within_s=DECIDED_WITHIN_S,
            what=f"one order each; there is {self._missing(symbols)}",
        )
        time.sleep(1)
        assert self.one_order_each(symbols), self.orders_of(symbols)
        rows = self.system.json("executions", "--limit", "5000")
        ours = [row for row in rows if row["symbol"] in set(symbols)]
        held_there = {order["id"] for name in BOTH for order in self.exchange.orders(name)}
        assert len(ours) == 2 * len(symbols)
        assert all(row["order_id"] in held_there for row in ours), ours

    def quiet(self) -> None:
        """Ignore all log lines that were written before this call."""
        self._read_up_to = {path: path.stat().st_size for path in self._logs()}

    def said(self) -> dict[str, list[dict[str, Any]]]:
        """Return the log lines of each process since `quiet`; a line that is not JSON is returned as text."""
        return {path.stem: list(_lines(path, self._read_up_to.get(path, 0))) for path in self._logs()}

    def outages(self) -> dict[str, list[str]]:
        """Return each process's events of outages and recoveries; assert that no process logged a traceback."""
        found = {}
        for name, lines in self.said().items():
            traces = [line for line in lines if "exception" in line or "text" in line]
            assert not traces, (name, traces)
            found[name] = [
                f"{line['event']} {line.get('executor_id', '')}".strip()
                for line in lines
                if line["event"].endswith((".away", ".back")) or line["event"].startswith("requests.")
            ]
        return found

    def ready(self) -> tuple[int, dict[str, str]]:
        """Return the status code of `/ready`, and the status of each part."""
        try:
            services = self.system.services()
            bearer = {"Authorization": f"Bearer {services['api_token']}"}
            answer = httpx.get(f"{services['web_url']}/ready", headers=bearer, timeout=patience(15))
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, {check["name"]: check["status"] for check in answer.json()["checks"]}

    def critical_says_doctor(self) -> set[str]:
        """Return the parts that `doctor` names as critical; assert that its exit code agrees."""
        done = self.system.run("doctor", "--json", timeout_s=20)
        checks = json.loads(done.stdout)["checks"]
        critical = {check["name"] for check in checks if check["status"] == "critical"}
        assert done.returncode == (2 if critical else done.returncode), done.stdout
        assert "Traceback" not in done.stderr
        return critical

    def _logs(self) -> list[Path]:
        return sorted((self.system.home / "logs").glob("*.log"))

    def _missing(self, symbols: list[str]) -> dict[str, int]:
        return {name: sum(orders.values()) for name, orders in self.orders_of(symbols).items()}


@contextmanager
def on_stage(exchange: ExchangeProcess, **environment: str) -> Iterator[Stage]:
    """Open a stage in a folder that PostgreSQL's user can enter, and remove it at the end."""
    with server_home() as home:
        stage = Stage(home, exchange, **environment)
        try:
            stage.open()
            yield stage
        finally:
            stage.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Freeze a process for the time of the block; its connections stay open."""
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Call *act* every *seconds* for the time of the block."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def _names() -> Iterator[str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return (f"Z{a}{b}{c}" for a in letters for b in letters for c in letters)


def _lines(path: Path, start: int) -> Iterator[dict[str, Any]]:
    with path.open("rb") as log:
        log.seek(start)
        for line in log.read().decode("utf-8", "replace").splitlines():
            yield json.loads(line) if line.startswith("{") else {"event": "", "text": line}
