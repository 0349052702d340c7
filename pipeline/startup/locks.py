"""Open the files by which a process keeps a folder for itself."""

import os
from pathlib import Path
from typing import IO


def open_lock(path: Path) -> IO[str]:
    """Open the lock file at *path*, for its owner only, and create it when it is missing.

    A link is not followed: a user who may write the folder could let it point to any file of this one.

    Raises:
        OSError: It cannot be opened, or is a link.
    """
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+")
