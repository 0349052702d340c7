"""Choose the folder of an embedded server's Unix socket, which only the server's owner can enter."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from pipeline.entrypoints.supervisor.servers.accounts import UnixAccount
from pipeline.model.errors import ConfigInvalid, Problem

#: The path of a socket, with the file's name, must be shorter. The kernel's limit is 108 on Linux and 104 on macOS.
_SOCKET_PATH_LIMIT = 100


def check_characters(folder: Path) -> None:
    """Refuse a *folder* that PostgreSQL or Valkey cannot have in a setting.

    Raises:
        ConfigInvalid: PostgreSQL takes a comma for the end of a path, and Valkey a line feed for the end of a setting.
    """
    if any(one == "," or one < " " for one in str(folder)):
        message = f"the path has a comma or a control character, which the embedded servers do not allow: {folder}"
        raise ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)])


def socket_path(folder: Path, longest: str) -> Path:
    """Return *folder* if it can hold a socket with the name *longest*, else a folder with a shorter path."""
    if len(os.fsencode(folder)) + len(f"/{longest}") < _SOCKET_PATH_LIMIT:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"tradewire-{os.geteuid()}-{digest}"


def create_socket_folder(folder: Path, account: UnixAccount | None) -> None:
    """Create *folder*, of which `socket_path` chose the path, for a server that runs as *account*.

    Raises:
        ConfigInvalid: It belongs to another user, or its path has a character that the servers do not allow.
    """
    check_characters(folder)
    owner = os.geteuid() if account is None else account.user
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() != owner:
        os.chown(folder, owner, -1)
        found = folder.lstat()
    # Everyone may write to the temporary folder, so another user may have created the socket's folder first.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) & 0o077:
        message = f"{folder} belongs to another user; set TRADEWIRE_HOME to a shorter path"
        raise ConfigInvalid([Problem(key="TRADEWIRE_HOME", message=message)])
