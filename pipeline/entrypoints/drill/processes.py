"""Start processes in a clean environment, and find, signal and stop the started ones by pid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE, Lifeline
from pipeline.model.errors import TradewireError

#: The variables that are copied from the user's environment. They hold no address, key, token or setting of tradewire.
_KEPT = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"})
_KEPT_PREFIXES = ("LC_", "PYTHON", "LD_", "DYLD_")
_POLL_S = 0.1


class DrillFailed(TradewireError):
    """The drill could not be carried out. It has no result about tradewire."""


def clean_environment(**ours: str) -> dict[str, str]:
    """Return *ours* in an environment without the user's servers, keys and settings."""
    kept = {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)}
    return kept | ours


class RestartedProcess:
    """A process that is started again when it has ended."""

    def __init__(self, *command: str, home: Path, environment: Mapping[str, str], log: str, lifeline: Lifeline) -> None:
        self._start = partial(start, *command, home=home, environment=environment, log=log, lifeline=lifeline)
        self.process = self._start()

    @property
    def pids(self) -> list[int]:
        """Return the process's pid in a list; the list is empty when the process has ended."""
        return [self.process.pid] if self.process.poll() is None else []

    def restart_ended(self) -> None:
        """Start the process again if it has ended."""
        if self.process.poll() is not None:
            self.process = self._start()


def start(
    *command: str, home: Path, environment: Mapping[str, str], log: str, lifeline: Lifeline
) -> subprocess.Popen[bytes]:
    """Start `python COMMAND` in *home*, which holds no `.env`."""
    with (home / log).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=home,
            env={**environment, LIFELINE: str(lifeline.given)},
            pass_fds=[lifeline.given],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C in the terminal must reach only the drill, which then stops everything in order.
            start_new_session=True,
        )


def stop(processes: Sequence[subprocess.Popen[bytes]], *, within_s: float) -> None:
    """Ask *processes* to stop, and wait; kill each that does not end in time, with all that it started."""
    deadline = time.monotonic() + within_s
    running = [process for process in processes if process.poll() is None]
    below = {process.pid: _below(process.pid) for process in running}
    for process in running:
        # A frozen process handles SIGTERM only when it continues.
        for pid in [process.pid, *(child.pid for child in below[process.pid])]:
            signal_process(pid, signal.SIGCONT)
        process.terminate()
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            for child in below[process.pid]:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            process.kill()
            process.wait()


def descendants(pids: Sequence[int]) -> set[int]:
    """Return *pids* and every process that descends from them."""
    return {*pids, *(child.pid for pid in pids for child in _below(pid))}


def children_called(pid: int, name: str) -> list[int]:
    """Return the direct children of *pid* whose program's name begins with *name*."""
    try:
        children = psutil.Process(pid).children()
        return [child.pid for child in children if child.name().startswith(name)]
    except psutil.NoSuchProcess:
        return []


def signal_process(pid: int, number: signal.Signals) -> bool:
    """Send a signal; return False when the process is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], object], *, within_s: float, what: str) -> None:
    """Wait until *condition* returns something true.

    Raises:
        DrillFailed: *condition* returned nothing true within *within_s* seconds.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise DrillFailed(f"not within {within_s:g} s: {what}")
        time.sleep(_POLL_S)


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
