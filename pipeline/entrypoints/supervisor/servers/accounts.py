"""Let PostgreSQL run, which refuses to be root, where the user is root."""

from __future__ import annotations

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
    """Whom a server runs as."""

    user: int
    group: int


def postgres_account() -> UnixAccount | None:
    """Return whom PostgreSQL runs as; None when the present user will do.

    As root a system user without a password or a home is made once: initdb wants a user that has a name.

    Raises:
        ConfigInvalid: There is no such user and none can be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _make_account()
        found = pwd.getpwnam(ACCOUNT)
    return UnixAccount(found.pw_uid, found.pw_gid)


def _make_account() -> None:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        ACCOUNT,
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"PostgreSQL does not run as root and the user {ACCOUNT} could not be made; set DATABASE_URL"
        raise ConfigInvalid([Problem(key="DATABASE_URL", message=message)]) from error


def let_through(path: Path) -> None:
    """Let other users pass through (not list) the folders above *path*, as PostgreSQL's user must reach it.

    Raises:
        PermissionError: A folder above belongs to somebody else.
    """
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            log.warning("folder.opened", folder=str(folder), because="PostgreSQL's user has to pass through it")
