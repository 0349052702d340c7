"""Run PostgreSQL, which refuses to run as root, under a user of its own when tradewire runs as root."""

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import structlog

from pipeline.model.errors import ConfigInvalid, Problem

log = structlog.get_logger(__name__)

#: The system user that owns the data folder when root runs tradewire.
ACCOUNT = "tradewire-postgres"


@dataclass(frozen=True)
class UnixAccount:
    """The user and group that a server runs as."""

    user: int
    group: int


def postgres_account() -> UnixAccount | None:
    """Return the account that PostgreSQL runs as; None for the current user.

    For root a system user without password and home is created once, since initdb needs a user with a name.

    Raises:
        ConfigInvalid: The user does not exist and cannot be created.
    """
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _create_account()
        found = pwd.getpwnam(ACCOUNT)
    return UnixAccount(found.pw_uid, found.pw_gid)


def _create_account() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"PostgreSQL does not run as root, and the user {ACCOUNT} could not be created; set DATABASE_URL"
        raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)]) from error


def let_through(path: Path) -> None:
    """Allow other users to pass through (not to list) the folders above *path*, so that PostgreSQL's user reaches it.

    Raises:
        PermissionError: A folder above belongs to another user.
    """
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            log.warning("folder.opened", folder=str(folder), because="PostgreSQL's user has to pass through it")
