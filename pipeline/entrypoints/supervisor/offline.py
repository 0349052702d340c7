"""Use the embedded PostgreSQL of a home while no `up` runs there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.entrypoints.supervisor.home_lock import lock_home
from pipeline.entrypoints.supervisor.logs import open_log
from pipeline.entrypoints.supervisor.servers.spawn import Lifeline, guard_command, start_guard
from pipeline.model.errors import NotPossible


def has_cluster(home: Path) -> bool:
    """Return whether an embedded PostgreSQL was set up in *home*."""
    return (home / "postgres/cluster/PG_VERSION").exists()


@contextmanager
def offline_postgres(home: Path) -> Iterator[str]:
    """Run the embedded PostgreSQL of *home* during the block; yield its URL. No `up` can start there meanwhile.

    Raises:
        ConfigInvalid: An `up` runs there, or *home* cannot be written.
        NotPossible: The server does not come up.
    """
    with lock_home(home) as lock:
        lock.end_leftovers()
        lifeline = Lifeline.make()
        log_path = open_log(home / "logs", "postgres")
        with log_path.open("ab") as log:
            command = guard_command("postgres", "--home", str(home / "postgres"))
            guard = start_guard(command, lifeline, log.fileno())
        try:
            assert guard.stdout is not None
            ready = guard.stdout.readline()
            if not ready:
                raise NotPossible(f"the embedded PostgreSQL of {home} does not come up; see {log_path}")
            yield str(json.loads(ready)["url"])
        finally:
            guard.terminate()
            guard.communicate()
            lifeline.cut()
