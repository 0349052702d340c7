"""When tradewire runs as root, run PostgreSQL as another user, since PostgreSQL refuses to run as root.

No user is created. The folders above the home are opened only if a person asks for it or agrees.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.model.errors import ConfigInvalid, Problem

#: PostgreSQL runs as this user, if an administrator or an earlier release has created it.
ACCOUNT = "tradewire-postgres"
#: Otherwise PostgreSQL runs under the first of these user ids that is free. Distributions do not assign them.
_NAMELESS = range(61000, 61100)
#: Users of most systems of which no program runs; the last one is the most often used.
_UNUSED_BY_MOST = ("games", "news", "uucp", "irc", "lp", "nobody")


@dataclass(frozen=True)
class UnixAccount:
    """The user and group that a server runs as."""

    user: int
    group: int


def postgres_account(name: str | None) -> UnixAccount | None:
    """Return the account that PostgreSQL runs as, *name* if given; None for the current user, if that is not root.

    Raises:
        ConfigInvalid: There is no user *name*.
    """
    if os.geteuid() != 0:
        return None
    try:
        return _named(name or ACCOUNT)
    except KeyError:
        if name is not None:
            raise ConfigInvalid([Problem(key="--user", message=f"there is no user {name!r} on this machine")]) from None
    number = next(number for number in _NAMELESS if not _is_taken(number))
    return UnixAccount(number, number)


def initdb_account(account: UnixAccount | None) -> UnixAccount | None:
    """Return the account that initdb runs as. initdb looks up the name of its user, so this account has a name.

    Raises:
        ConfigInvalid: Each account that it may run as also runs another process, which could change the new cluster.
    """
    if account is None or _is_taken(account.user):
        return account
    busy = set(_users_of_processes())
    for name in _UNUSED_BY_MOST:
        with contextlib.suppress(KeyError):
            if (found := _named(name)).user not in busy:
                return found
    message = (
        "PostgreSQL's files must be created by a user of which no other program runs: "
        f"create one with `useradd --system {ACCOUNT}`"
    )
    raise ConfigInvalid([Problem(key="--user", message=message)])


def closed_folders(account: UnixAccount | None, paths: Iterable[Path]) -> list[Path]:
    """Return the folders above *paths* that *account* cannot pass through, the outermost first."""
    # A folder that does not exist yet is skipped: it will be created below the home, where the guard opens it.
    above = {folder for path in paths for folder in path.resolve().parents if folder.exists()}
    return [folder for folder in sorted(above) if account is not None and not _passes(account, folder.stat())]


def open_folder(folder: Path) -> None:
    """Allow all users to pass through *folder*, but not to list it."""
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)


def chown_tree(folder: Path, account: UnixAccount) -> None:
    """Give *folder* and everything in it to *account*."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account.user, account.group, follow_symlinks=False)


def _users_of_processes() -> Iterator[int]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            yield from process.uids()


def _named(name: str) -> UnixAccount:
    found = pwd.getpwnam(name)
    return UnixAccount(found.pw_uid, found.pw_gid)


def _is_taken(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def _passes(account: UnixAccount, folder: os.stat_result) -> bool:
    if folder.st_uid == account.user:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.group:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)
