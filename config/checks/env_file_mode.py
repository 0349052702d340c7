"""Find a `.env` file whose secrets every user of this machine can read."""

import os
import stat
from pathlib import Path

from pydantic import SecretStr

from config.schema.settings import Settings, variable
from pipeline.model.errors import Problem


def exposed_secrets(settings: Settings) -> list[Problem]:
    """Return a problem if every user can read the `.env` file, and it sets more than plain settings of tradewire.

    A file that is mounted read-only is accepted, as in containers, where its owner is often another user.
    """
    path = settings.folder / ".env"
    fields = {variable(field): getattr(settings, field) for field in Settings.model_fields}
    plain = {name for name, value in fields.items() if not isinstance(value, SecretStr)}
    if settings.file_environment().keys() <= plain or not _is_open(path):
        return []
    return [Problem(key=str(path), message=f"every user of this machine can read its secrets; run `chmod 600 {path}`")]


def _is_open(path: Path) -> bool:
    if not hasattr(os, "geteuid"):
        return False
    read = Path(os.path.realpath(path))
    try:
        if not read.stat().st_mode & stat.S_IROTH or os.statvfs(read).f_flag & os.ST_RDONLY:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in read.parents)
    except OSError:
        return False
