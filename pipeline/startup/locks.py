"""Open lock files. A process locks such a file, so that no other process uses the same folder."""

import os
from pathlib import Path
from typing import IO


def open_lock(path: Path) -> IO[str]:
    """Open the lock file at *path*. If it is missing, create it with access for its owner only.

    A symbolic link is not followed: another user who may write to the folder could make it point to any file of ours.

    Raises:
        OSError: the file cannot be opened, or is a symbolic link.
    """
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+")
