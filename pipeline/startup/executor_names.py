"""The executors that a command names, and the person who runs it."""

import getpass
import socket
import tomllib

from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid, Problem


def names_of(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return the executors that the command names.

    Only their names are read, so that accounts can be stopped while other parts of the file are wrong.

    Raises:
        ConfigInvalid: no executor of that name is in the file, or the file cannot be read.
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
    """Return who runs the command: the login name and the machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
