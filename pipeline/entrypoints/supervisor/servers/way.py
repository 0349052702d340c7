"""Open the folders above a home for PostgreSQL's user, when a person has asked for that or agrees to it."""

import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.entrypoints.supervisor.servers.accounts import closed_folders, open_folder, postgres_account
from pipeline.entrypoints.supervisor.servers.binaries import postgres_programs


def open_way(home: Path, user: str | None, *, say: Callable[[str], None]) -> None:
    """Open the folders outside *home* that PostgreSQL's user must pass through, and name each one.

    They are opened only if *user*, the value of `--user`, is given or the person at the terminal agrees. Otherwise
    nothing is changed, and PostgreSQL's guard refuses to start.

    Raises:
        ConfigInvalid: There is no such user, or PostgreSQL is not installed.
    """
    account = postgres_account(user)
    if account is None:
        return
    paths = [home / "postgres/cluster", postgres_programs() / "postgres"]
    closed = [folder for folder in closed_folders(account, paths) if not folder.is_relative_to(home)]
    if not closed or (user is None and not _agrees(closed)):
        return
    for folder in closed:
        open_folder(folder)
        say(f"opened {folder} (chmod o+x), so that PostgreSQL's user can pass through it")


def _agrees(closed: list[Path]) -> bool:
    if not sys.stdin.isatty():
        return False
    listed = ", ".join(map(str, closed))
    sys.stdout.write(f"PostgreSQL does not run as root. Let all users pass through {listed} (chmod o+x)? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
