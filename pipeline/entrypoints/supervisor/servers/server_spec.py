"""Define what a guard needs to know of the server that it runs."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.entrypoints.supervisor.servers.accounts import UnixAccount

_KEPT = frozenset({"LANG", "PATH", "TMPDIR", "TZ"})
_KEPT_PREFIXES = ("LC_", "LD_", "DYLD_")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The command that starts the server, with its folder, user and input."""

    argv: list[str]
    cwd: Path
    #: The user that it runs as; None for the user of the guard.
    account: UnixAccount | None = None
    #: Its standard input: settings that must not be visible in the process list.
    stdin: bytes = b""


class ServerPlan(Protocol):
    """One kind of embedded server."""

    #: Its name in ready lines and logs.
    name: str
    #: The folder of all its files; only one guard may use it at a time.
    home: Path
    #: Stops the server in order, with all accepted data on disk.
    stop_signal: signal.Signals
    #: Stops the server at once, if `stop_signal` takes too long; its next start recovers the data.
    hurry_signal: signal.Signals

    def prepare(self) -> Launch:
        """Clean up after an earlier run, create missing files, and return how to start the server.

        Raises:
            ConfigInvalid: The wheel is missing or the folder cannot be used.
        """

    def probe(self) -> str | None:
        """Return the server's URL when it answers and is ready for use, else None."""

    def tidy(self) -> None:
        """Remove temporary files when the server has ended."""


def bare_environment() -> dict[str, str]:
    """Return the variables that a program of others needs. No address, key, token or setting is among them."""
    return {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)}


def child_options(account: UnixAccount | None) -> dict[str, Any]:
    """Return the options with which `subprocess` starts a program as *account*, in a bare environment."""
    # Other processes of *account* can read the environment, so it must not hold the broker's keys.
    env = bare_environment()
    if account is None:
        return {"env": env}
    # Without `extra_groups` the program would keep root's groups.
    return {"env": env, "user": account.user, "group": account.group, "extra_groups": []}
