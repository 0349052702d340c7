"""The lifeline, a pipe that closes when this process ends, and the commands that start our programs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

#: The environment variable that holds the number of the file descriptor to watch.
LIFELINE = "TRADEWIRE_LIFELINE"

#: The exit code of a guard whose server cannot be set up here.
CANNOT_BE_SET_UP = 2

#: The first words of the command that runs a module. Without -P, Python looks for modules in the working folder first,
#: and in a shared folder another user may have put one there.
RUN_MODULE = (sys.executable, "-P", "-m")


@dataclass(frozen=True)
class Lifeline:
    """A pipe that is never written to. Readers of *given* see its end when the process that has *held* open is gone."""

    given: int
    held: int

    @classmethod
    def make(cls) -> Lifeline:
        """Open the pipe. A child inherits an end of it only if that end is passed explicitly."""
        return cls(*os.pipe())

    def cut(self) -> None:
        """Close the pipe, so that the readers see its end."""
        os.close(self.held)
        os.close(self.given)


def guard_command(server: str, *flags: str) -> list[str]:
    """Return the command that runs the guard of *server* (`postgres` or `valkey`)."""
    return [*RUN_MODULE, "pipeline.entrypoints.supervisor.servers.guard", server, *flags]


def start_guard(command: list[str], lifeline: Lifeline, log: int) -> subprocess.Popen[str]:
    """Start a guard that watches *lifeline* and logs to the descriptor *log*. It prints a line when it is ready."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, LIFELINE: str(lifeline.given)},
        pass_fds=[lifeline.given],
        start_new_session=True,
    )
