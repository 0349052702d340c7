"""Run several workers of one executor: `python -m tests.acceptance.worker_processes EXECUTOR COUNT`.

The parent imports all modules once, and forks a process for each worker, which runs `tradewire work EXECUTOR`. When the
parent ends in any way, all workers end.
"""

from __future__ import annotations

import os
import sys

from pipeline.entrypoints.cli.run import main
from pipeline.entrypoints.supervisor.servers.spawn import LIFELINE

# Imported in the parent, so that the workers do not each import it again.
import workers.execution.process  # noqa: F401, isort: skip


def run(executor: str, count: int) -> None:
    """Start *count* workers and wait until they have ended."""
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
