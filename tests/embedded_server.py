"""Start, stop, kill and restart an embedded server from a test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from pipeline.entrypoints.supervisor.servers.spawn import CANNOT_BE_SET_UP, Lifeline, guard_command, start_guard
from pipeline.model.errors import ConfigInvalid, Problem, TradewireError


class ServerDidNotStart(TradewireError):
    """An embedded server did not start; its log has the cause."""


class EmbeddedServer:
    """One embedded server that keeps its URL and data over restarts. As a context manager, it runs during the block."""

    def __init__(self, home: Path, *command: str) -> None:
        self._home = home
        self._command = guard_command(*command)
        self._guard: subprocess.Popen[str] | None = None
        self._lifeline: Lifeline | None = None
        self._url = ""
        #: The process id of the server since the last start.
        self.server_pid = 0
        #: The process id of its guard since the last start.
        self.guard_pid = 0
        #: The exit code of the last guard.
        self.exit_code: int | None = None

    @classmethod
    def postgres(cls, home: Path) -> EmbeddedServer:
        """Return a PostgreSQL, not started, with its data below *home*."""
        return cls(home, "postgres", "--home", str(home))

    @classmethod
    def valkey(cls, home: Path) -> EmbeddedServer:
        """Return a Valkey, not started, with its data below *home*."""
        return cls(home, "valkey", "--home", str(home))

    @property
    def url(self) -> str:
        """Return the URL; empty before the first start."""
        return self._url

    @property
    def log_path(self) -> Path:
        """Return the file that the server and its guard write to."""
        return self._home / "server.log"

    def start(self) -> str:
        """Start the server and return its URL when it answers.

        Raises:
            ConfigInvalid: The server cannot be set up here; the message has the remedy.
            ServerDidNotStart: The server ended before it answered.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        self._lifeline = Lifeline.make()
        with self.log_path.open("a") as log:
            self._guard = start_guard(self._command, self._lifeline, log.fileno())
        assert self._guard.stdout is not None
        self.guard_pid = self._guard.pid
        line = self._guard.stdout.readline()
        if not line:
            exit_code = self._reap()
            tail = self.log_path.read_text().strip()[-2000:]
            if exit_code == CANNOT_BE_SET_UP:
                key, _, message = tail.splitlines()[-1].partition(": ")
                raise ConfigInvalid([Problem(key=key, message=message)])
            raise ServerDidNotStart(f"the embedded server did not come up (exit {exit_code}); its log ends: {tail}")
        ready = json.loads(line)
        self._url, self.server_pid = ready["url"], ready["pid"]
        return self._url

    def stop(self) -> None:
        """Shut the server down; do nothing if it is not running."""
        if self._guard is not None:
            self._guard.terminate()
            self._reap()

    def kill(self) -> None:
        """Kill the server with SIGKILL, and wait until it and its guard are gone."""
        if self._guard is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.server_pid, signal.SIGKILL)
            self._reap()

    def restart(self) -> str:
        """Shut the server down and start it again with the same data."""
        self.stop()
        return self.start()

    def _reap(self) -> int:
        assert self._guard is not None
        with self._guard as guard:
            try:
                self.exit_code = guard.wait(15)
            except subprocess.TimeoutExpired:
                guard.kill()
                self.exit_code = guard.wait()
        self._guard = None
        if self._lifeline is not None:
            self._lifeline.cut()
            self._lifeline = None
        return self.exit_code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
