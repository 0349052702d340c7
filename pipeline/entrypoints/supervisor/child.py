"""Run one process for as long as `up` runs, and start it again with growing pauses when it dies."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from pipeline.entrypoints.supervisor.logs import LogTail, open_log
from pipeline.entrypoints.supervisor.process_table import ProcessLine
from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE, Lifeline
from pipeline.model.backoff import Backoff

#: The pauses before a process that died is started again.
RESTART_BACKOFF = Backoff(first_s=0.2, longest_s=5.0)
#: A process that has run for this long is well, unless its health route fails or it crashes again and again.
WELL_AFTER_S = 10.0
#: A process that ends this many times within this many seconds counts as crashing again and again.
CRASHES, WITHIN_S = 3, 120.0


class Child:
    """One line of the process table, with its process while one runs."""

    def __init__(
        self, line: ProcessLine, *, lifeline: Lifeline, log_folder: Path, report: Callable[[str], None]
    ) -> None:
        self.line = line
        self.process: subprocess.Popen[bytes] | None = None
        #: The address that a server reported when it was ready; None before that and while it is down.
        self.url: str | None = None
        #: The exit code of the last process that ended; None if none has.
        self.exit_code: int | None = None
        #: How often the process has died since it last ran for `WELL_AFTER_S`; the end of that run counts too.
        self.deaths = 0
        #: Whether the health route answered the last request; True for a process without such a route.
        self.answers = True
        self._lifeline = lifeline
        self._log_folder = log_folder
        self._report = report
        self._ends_at = deque[float](maxlen=CRASHES)
        self._tail: LogTail | None = None
        self._start_due = 0.0
        self._started_at = 0.0
        self._output = b""

    @property
    def descriptor(self) -> int | None:
        """Return the descriptor on which a server reports that it is ready."""
        if self.process is None or self.process.stdout is None or self.process.stdout.closed:
            return None
        return self.process.stdout.fileno()

    @property
    def started(self) -> bool:
        """Return whether a start was tried at least once."""
        return self._tail is not None

    @property
    def runs(self) -> bool:
        """Return whether the process has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def crashing(self) -> bool:
        """Return whether the process crashes again and again."""
        return len(self._ends_at) == CRASHES and time.monotonic() - self._ends_at[0] < WITHIN_S

    def tick(self, environment: Mapping[str, str]) -> bool:
        """Start the process if that is due, read its output and report errors; return whether it started or ended."""
        now = time.monotonic()
        if self.process is None:
            return now >= self._start_due and self._start(environment, now)
        self._read_ready_line()
        self._report_errors()
        exit_code = self.process.poll()
        if exit_code is not None:
            self._note_end(exit_code, now)
            return True
        if self.deaths and self.answers and not self.crashing and now - self._started_at >= WELL_AFTER_S:
            self.deaths = 0
            self._report(f"{self.line.name} runs normally again")
        return False

    def last_line(self) -> str:
        """Return the last line of the child's log; empty before the first start."""
        return self._tail.last_line() if self._tail else ""

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.runs:
            self.process.terminate()

    def kill(self) -> None:
        """End the process and everything that it started, now."""
        if self.process is None or not self.runs:
            return
        # A descendant with a session of its own, such as a guard's server, is not in the process group.
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
        self._started_at = now
        try:
            self.process = self._spawn(path, environment)
        except OSError as error:
            self._note_death(f"could not be started ({error.strerror})", now)
            return False
        self._output = b""
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        return True

    def _spawn(self, log_path: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with log_path.open("ab") as log:
            return subprocess.Popen(
                self.line.command,
                stdin=subprocess.DEVNULL,
                # A server writes its address to standard output when it is ready.
                stdout=subprocess.PIPE if self.line.server else log,
                stderr=log,
                env={**environment, **self.line.environment, LIFELINE: str(self._lifeline.given)},
                pass_fds=[self._lifeline.given],
                # Ctrl-C in the terminal must reach only `up`, which then stops its children in order.
                start_new_session=True,
            )

    def _read_ready_line(self) -> None:
        if self.descriptor is None or self.url is not None:
            return
        with contextlib.suppress(BlockingIOError):
            self._output += os.read(self.descriptor, 4096)
        line, newline, _ = self._output.partition(b"\n")
        if newline:
            self.url = json.loads(line)["url"]

    def _report_errors(self) -> None:
        if self._tail is not None:
            for error in self._tail.errors():
                self._report(f"{self.line.name}: {error}")

    def _note_end(self, exit_code: int, now: float) -> None:
        assert self.process is not None
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        self.url = None
        self.exit_code = exit_code
        how = f"was ended by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended (exit {exit_code})"
        self._note_death(how, now)

    def _note_death(self, how: str, now: float) -> None:
        """Plan the next start. Only the first death in a row is reported."""
        self.deaths = 1 if now - self._started_at >= WELL_AFTER_S else self.deaths + 1
        self._ends_at.append(now)
        self._start_due = now + RESTART_BACKOFF.after(self.deaths)
        if self.deaths == 1:
            log = self._log_folder / f"{self.line.name}.log"
            self._report(f"{self.line.name} {how} and is started again; {log}: {self.last_line()}")
