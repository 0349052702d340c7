"""What a guard has to know of the server that it runs."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.entrypoints.supervisor.servers.accounts import UnixAccount


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How the server process is started."""

    argv: list[str]
    cwd: Path
    #: Whom it runs as; None is the one who runs the guard.
    account: UnixAccount | None = None
    #: What it reads from its standard input: settings that must not be seen in the process list.
    stdin: bytes = b""


class ServerPlan(Protocol):
    """One kind of embedded server, seen from its guard."""

    #: The word for it in ready lines and logs.
    name: str
    #: The folder that holds everything of it; only one guard may run on it.
    home: Path
    #: What makes it end in order, with everything that it accepted on disk.
    stop_signal: signal.Signals
    #: What makes it end at once when that takes too long, leaving the rest to its recovery.
    hurry_signal: signal.Signals

    def prepare(self) -> Launch:
        """Clear what an earlier run left, make what is missing, and say how to start.

        Raises:
            ConfigInvalid: The wheel is missing or the folder cannot be used.
        """

    def probe(self) -> str | None:
        """Return the server's URL when it answers and is ready for use, else None."""

    def tidy(self) -> None:
        """Remove what nobody needs once the server has ended."""


def child_options(account: UnixAccount | None) -> dict[str, Any]:
    """Return how `subprocess` starts a server's program: as *account*, without our secrets and lifeline."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("TRADEWIRE_")}
    if account is None:
        return {"env": env}
    # Root's groups would be left to it otherwise.
    return {"env": env, "user": account.user, "group": account.group, "extra_groups": []}
