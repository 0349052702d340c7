"""Fixtures: the core with empty servers, and tradewire's commands as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.exchange_fixtures import ExchangeProcess
from tests.factories import Core, a_core
from tests.waiting import patience


class Started(subprocess.Popen[str]):
    """A process whose `wait` has a longer limit on a slow machine."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        return super().wait(None if timeout is None else patience(timeout))


@pytest.fixture
def make_core(
    database_url: str, redis_url: str, exchange_process: ExchangeProcess, tmp_path: Path
) -> Iterator[Callable[..., Core]]:
    """Return a function that builds a core from executors in TOML; close all cores at the end."""
    with ExitStack() as stack:

        def make(executors: str | None = None) -> Core:
            opened = a_core(
                database_url=database_url,
                redis_url=redis_url,
                exchange=exchange_process,
                folder=tmp_path,
                executors=executors,
            )
            return stack.enter_context(opened)

        yield make


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    """A core with the one executor `argo`; AAPL and MSFT trade at 100."""
    made = make_core()
    made.prices(AAPL=100, MSFT=100)
    return made


class Processes:
    """Starts tradewire's commands as processes that use the servers of a core, and ends these processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Started] = []

    def start(
        self,
        core: Core,
        *arguments: str,
        stdin: str | None = None,
        module: str = "pipeline.entrypoints.cli",
        **environment: str,
    ) -> Started:
        """Start `tradewire` or another *module* with *arguments*; `said` returns its output."""
        env = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": core.database_url,
            "REDIS_URL": core.redis_url,
            "TRADEWIRE_EXECUTORS": str(core.executors_path),
            "TRADEWIRE_EXCHANGE_URL": core.exchange.url,
            "TRADEWIRE_HOME": str(self.folder),
            "TRADEWIRE_LOG": "json",
        }
        with self._log(len(self.started)).open("w") as output:
            process = Started(
                [sys.executable, "-m", module, *arguments],
                env=env | environment,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.started.append(process)
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
        return process

    def said(self, process: Started) -> str:
        """Return what *process* has written so far, without the line that names its record and accounts."""
        lines = self._log(self.started.index(process)).read_text().splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("record postgresql://"))

    def killed(self, process: Started, *, within_s: float = 30.0) -> bool:
        """Wait for the end of *process*, and return whether SIGKILL ended it."""
        return process.wait(within_s) == -signal.SIGKILL

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)

    def _log(self, number: int) -> Path:
        return self.folder / f"process-{number}.log"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.close()
