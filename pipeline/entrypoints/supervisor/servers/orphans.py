"""End servers that an earlier guard left running on a data folder."""

import contextlib
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def running_on(folder: Path, program: str) -> list[psutil.Process]:
    """Return the processes called *program* whose working folder is *folder*, the oldest first.

    The working folder of both servers is their data folder. Unlike a pid file, this search also works after a crash,
    after a restart of the machine, and when another process has the pid now.
    """
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if (process.info["name"] or "").startswith(program) and Path(process.cwd()) == folder:
                found.append((process.create_time(), process.pid, process))
    return [process for _, _, process in sorted(found, key=lambda entry: entry[:2])]


def end_leftovers(folder: Path, program: str, *, stop_signal: signal.Signals) -> bool:
    """Stop every *program* on *folder*, and kill it after 3 s; return whether there was one.

    The oldest is the server and the others are its children: only the server gets the signal, and stops them in order.
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

    A zombie counts as gone: in a container its exit status may never be collected.
    """
    deadline = time.monotonic() + within_s
    left = [process for process in processes if runs(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if runs(process)]
    return left


def runs(process: psutil.Process) -> bool:
    """Return whether *process* has not ended; another process with the same pid does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
