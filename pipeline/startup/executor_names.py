"""The executors that a command names, and the person who gives it."""

from __future__ import annotations

import getpass
import socket
import tomllib

from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid, Problem


def names_of(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return whom the command means. A file whose figures are wrong must not keep anybody from stopping.

    Raises:
        ConfigInvalid: nobody of that name is in the file, or it cannot be read.
    """
    try:
        tables = tomllib.loads(settings.executors.read_text("utf-8")).get("executors", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid([Problem(key="TRADEWIRE_EXECUTORS", message=f"{settings.executors}: {error}")]) from None
    if every == (executor is not None):
        raise ConfigInvalid([Problem(key="EXECUTOR", message="name one executor, or --all")])
    if executor is not None and executor not in tables:
        message = f"{executor!r} is not in {settings.executors}; there is {', '.join(tables)}"
        raise ConfigInvalid([Problem(key="EXECUTOR", message=message)])
    return list(tables) if executor is None else [executor]


def me() -> str:
    """Return who turns a switch: the login name and the machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
