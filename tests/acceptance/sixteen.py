"""Runs the workers of one executor: `python -m tests.acceptance.sixteen EXECUTOR COUNT`.

Everything is loaded once, and each worker is a process of its own that runs `tradewire work EXECUTOR` from there on.
All end with this one, however it ends.
"""

from __future__ import annotations

import os
import sys

from pipeline.entrypoints.cli.app import main
from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE

# Loaded here so that no worker has to.
import workers.execution.process  # noqa: F401, isort: skip


def run(executor: str, count: int) -> None:
    """Start *count* workers and stay until they have ended."""
    ours, theirs = os.pipe()
    started = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os.close(theirs)
            os.environ[LIFELINE] = str(ours)
            sys.argv = ["tradewire", "work", executor]
            main()
            os._exit(0)
        started.append(pid)
    for pid in started:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
