"""End the servers that an earlier guard left running on a data folder."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def running_on(folder: Path, program: str) -> list[psutil.Process]:
    """Return the processes called *program* that work in *folder*, the oldest first.

    Both servers make their data folder their working folder, so this holds where a pid file lies: after a
    crash, a restart of the machine, or when the pid was given to another process.
    """
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if (process.info["name"] or "").startswith(program) and Path(process.cwd()) == folder:
                found.append((process.create_time(), process.pid, process))
    return [process for _, _, process in sorted(found, key=lambda entry: entry[:2])]


def end_leftovers(folder: Path, program: str, *, stop_signal: signal.Signals) -> bool:
    """Stop every *program* on *folder*: asked first, after 3 s killed; say whether there was one.

    The oldest is the server, the others are its own children: it alone is asked, and ends them in order.
    """
    left = running_on(folder, program)
    if not left:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        left[0].send_signal(stop_signal)
    for process in wait_until_gone(left, within_s=3):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until_gone(left, within_s=3)
    return True


def wait_until_gone(processes: Iterable[psutil.Process], *, within_s: float) -> list[psutil.Process]:
    """Wait until *processes* have ended; return those that have not.

    One that has ended but was not yet collected counts as gone: in a container nobody may ever collect it.
    """
    deadline = time.monotonic() + within_s
    left = [process for process in processes if runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if runs(process)]
    return left


def runs(process: psutil.Process) -> bool:
    """Say whether *process* is the one it was and has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
