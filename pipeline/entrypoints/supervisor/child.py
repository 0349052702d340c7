"""Run one process for as long as `up` runs: started again when it dies, with back-off, said once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from pipeline.entrypoints.supervisor.backoff import WELL_AFTER_S, Streak
from pipeline.entrypoints.supervisor.logs import LogTail, open_log
from pipeline.entrypoints.supervisor.process_table import ProcessLine
from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE, Lifeline


class Child:
    """One line of the table and the process that runs it now, if any."""

    def __init__(self, line: ProcessLine, *, lifeline: Lifeline, log_folder: Path, say: Callable[[str], None]) -> None:
        self.line = line
        self.process: subprocess.Popen[bytes] | None = None
        #: What a server said when it was ready; None until then and while it is down.
        self.url: str | None = None
        #: How the process ended last; None while that has not happened.
        self.exit_code: int | None = None
        self.streak = Streak()
        self._lifeline = lifeline
        self._log_folder = log_folder
        self._say = say
        self._tail: LogTail | None = None
        self._due = 0.0
        self._started = 0.0
        self._spoken = b""

    @property
    def descriptor(self) -> int | None:
        """Return the descriptor on which a server will say that it is ready."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return None
        return self.process.stdout.fileno()

    @property
    def started(self) -> bool:
        """Say whether the process was started at least once."""
        return self._tail is not None

    @property
    def runs(self) -> bool:
        """Say whether the process has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def tick(self, environment: Mapping[str, str]) -> bool:
        """Do what is due: start, start again, read, report; say whether a process was started or ended."""
        now = time.monotonic()
        if self.process is None:
            return now >= self._due and self._start(environment, now)
        self._read_ready_line()
        self._pass_on_complaints()
        exit_code = self.process.poll()
        if exit_code is not None:
            self._ended(exit_code, now)
            return True
        if self.streak.sick and now - self._started >= WELL_AFTER_S:
            self.streak = Streak()
            self._say(f"{self.line.name} is well again")
        return False

    def last_words(self) -> str:
        """Return the end of the child's log, in one line."""
        return self._tail.last_words() if self._tail else ""

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.runs:
            self.process.terminate()

    def kill(self) -> None:
        """End the process and everything that it started, now."""
        if self.process is None or not self.runs:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for descendant in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    descendant.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _start(self, environment: Mapping[str, str], now: float) -> bool:
        path = open_log(self._log_folder, self.line.name)
        self._tail = self._tail or LogTail(path)
        self._started = now
        try:
            with path.open("ab") as log:
                self.process = subprocess.Popen(
                    self.line.command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if self.line.server else log,
                    stderr=log,
                    env={**environment, **self.line.environment, LIFELINE: str(self._lifeline.given)},
                    pass_fds=[self._lifeline.given],
                    # Ctrl-C in the terminal is for `up`, which ends its children in their order.
                    start_new_session=True,
                )
        except OSError as error:
            self._mourn(f"could not be started ({error.strerror})", now)
            return False
        self._spoken = b""
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        return True

    def _read_ready_line(self) -> None:
        if self.descriptor is None or self.url is not None:
            return
        with contextlib.suppress(BlockingIOError):
            self._spoken += os.read(self.descriptor, 4096)
        line, newline, _ = self._spoken.partition(b"\n")
        if newline:
            self.url = json.loads(line)["url"]

    def _pass_on_complaints(self) -> None:
        if self._tail is not None:
            for complaint in self._tail.complaints():
                self._say(f"{self.line.name}: {complaint}")

    def _ended(self, exit_code: int, now: float) -> None:
        assert self.process is not None
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        self.url = None
        self.exit_code = exit_code
        how = f"was ended by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended (exit {exit_code})"
        self._mourn(how, now)

    def _mourn(self, how: str, now: float) -> None:
        lived_s = now - self._started
        fresh = not self.streak.sick or lived_s >= WELL_AFTER_S
        self.streak = self.streak.after_death(lived_s=lived_s)
        self._due = now + self.streak.pause_s
        if fresh:
            log = self._log_folder / f"{self.line.name}.log"
            self._say(f"{self.line.name} {how} and is started again; {log}: {self.last_words()}")
