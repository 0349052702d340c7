"""Run the whole of tradewire as a user does: `tradewire up` in a folder of its own, and commands beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import psutil

from pipeline.model.states import UNDECIDED, WORKING
from tests.waiting import patience

ROOT = Path(__file__).parents[2]
#: Environment variables of the machine that would change how `up` runs.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "PORT")


class System:
    """One `tradewire up`, and commands beside it."""

    def __init__(self, home: Path, *, executors: Path | str = "config/executors.toml", **environment: str) -> None:
        self.home = home
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _FOREIGN and not name.startswith("TRADEWIRE_") and "_API_" not in name
        }
        self.environment = {
            **kept,
            "TRADEWIRE_HOME": str(home),
            "TRADEWIRE_EXECUTORS": str(ROOT / executors),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def up(self, *arguments: str, within_s: float = 60.0) -> System:
        """Start `tradewire up` and wait until all processes in its table run and PostgreSQL answers."""
        (self.home / "services.json").unlink(missing_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "up.log").touch()
        said = len(self.log())
        # PostgreSQL's user cannot enter pytest's folders when the tests run as root.
        if os.geteuid() == 0 and "DATABASE_URL" not in self.environment:
            arguments = ("--user", "nobody", *arguments)
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.entrypoints.cli", "up", *arguments],
                cwd=self.home,
                env=self.environment | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.until(lambda: "tradewire is up" in self.log()[said:], within_s=within_s, what="tradewire is up")
        return self

    def log(self) -> str:
        """Return the output of `up` so far."""
        return (self.home / "up.log").read_text("utf-8", "replace")

    def services(self) -> dict[str, Any]:
        """Return the content of services.json."""
        body: dict[str, Any] = json.loads((self.home / "services.json").read_text())
        return body

    def pid(self, name: str) -> int:
        """Return the process id of one process of `up`."""
        return int(self.services()["pids"][name])

    def run(self, *arguments: str, stdin: str = "", timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run one command beside `up`."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline.entrypoints.cli", *arguments],
            check=False,
            cwd=self.home,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=patience(timeout_s),
        )

    def json(self, *arguments: str) -> Any:
        """Run one command with --json and return its output."""
        done = self.run(*arguments, "--json")
        if not done.stdout:
            raise AssertionError(f"tradewire {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def send(self, signals: Iterable[dict[str, Any]], *arguments: str) -> list[dict[str, Any]]:
        """Send signals as JSON lines and return the lines that were printed."""
        text = "".join(json.dumps(one) + "\n" for one in signals)
        done = self.run("signal", "send", "-", *arguments, stdin=text, timeout_s=120.0)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if len(answers) != text.count("\n"):
            raise AssertionError(f"{len(answers)} answers to {text.count(chr(10))} signals: {done.stderr}")
        return answers

    def admin(self, path: str, body: object = None) -> Any:
        """Call the administration interface of the paper exchange."""
        url, token = f"{self.services()['exchange_url']}/admin/{path}", self.services()["exchange_token"]
        login = {"Authorization": f"Bearer {token}"}
        # Reading the certificates takes longer than the request, which needs none.
        with httpx.Client(headers=login, timeout=patience(10), trust_env=False, verify=False) as client:
            answer = client.get(url) if body is None else client.post(url, json=body)
        answer.raise_for_status()
        return answer.json()

    def orders(self, executor_id: str) -> list[dict[str, Any]]:
        """Return all orders that the exchange holds for an executor."""
        orders: list[dict[str, Any]] = self.admin(f"orders?key={executor_id}")
        return orders

    def all_ended(self) -> bool:
        """Return whether no execution waits, and no order works."""
        by_status = self.json("report")["by_status"]
        return not any(by_status.get(state) for state in UNDECIDED | WORKING)

    def until(self, true: Callable[[], object], *, within_s: float, what: str) -> float:
        """Wait until *true* returns a true value, and return the seconds that it took."""
        began = time.monotonic()
        while not true():
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"`up` ended with {self.process.returncode} before {what}:\n{self.log()[-3000:]}")
            if time.monotonic() - began > patience(within_s):
                raise AssertionError(f"not within {patience(within_s):g} s: {what}\n{self.log()[-3000:]}")
            time.sleep(0.1)
        return time.monotonic() - began

    def children(self) -> list[psutil.Process]:
        """Return all processes below `up`."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> float:
        """Send `up` a Ctrl-C and return the seconds until it ended."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=patience(15))
        return time.monotonic() - began


def a_signal(symbol: str = "AAPL", **more: Any) -> dict[str, Any]:
    """Return a signal that every shipped executor accepts."""
    return {"symbol": symbol, "action": "BUY", "confidence": 98, "entry_price": 20, **more}


def symbols(count: int) -> list[str]:
    """Return *count* symbols without bars: QAAA, QAAB, …"""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [f"Q{letters[n // 676 % 26]}{letters[n // 26 % 26]}{letters[n % 26]}" for n in range(count)]
