"""Read the arguments that several commands take: ids, symbols, executors, and who runs the command."""

import getpass
import socket
import tomllib
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from config.schema.executor import Executors, ExecutorSettings
from config.schema.settings import Settings
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.symbols import canonical

T = TypeVar("T")


def id_of(text: str, key: str) -> UUID:
    """Read an id.

    Raises:
        ConfigInvalid: *text* is not an id; the problem names *key*.
    """
    try:
        return UUID(text)
    except ValueError:
        raise ConfigInvalid([Problem(key=key, message=f"{text!r} is not an id")]) from None


def symbol_of(text: str | None) -> str | None:
    """Read `--symbol` into its canonical form; None stays None.

    Raises:
        ConfigInvalid: *text* is not a symbol.
    """
    return parsed("--symbol", text, canonical)


def parsed(key: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    """Return the value of the optional argument *key*; None stays None.

    Raises:
        ConfigInvalid: *parse* refused the text with a ValueError, whose message the problem has.
    """
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise ConfigInvalid([Problem(key=key, message=str(error))]) from None


def executor_of(executors: Executors, executor_id: str) -> ExecutorSettings:
    """Return the executor that a command names.

    Raises:
        ConfigInvalid: it is not in the file.
    """
    if executor_id not in executors:
        raise ConfigInvalid([not_in_file(executors, executor_id)])
    return executors[executor_id]


def not_in_file(executors: Executors, executor_id: str) -> Problem:
    """Return the problem that the file has no such executor."""
    message = f"{executor_id!r} is not in {executors.path}; there is {', '.join(executors)}"
    return Problem(key="EXECUTOR", message=message)


def names_of(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return the executors that the command names.

    Only their names are read, so that accounts can be stopped while other parts of the file are wrong.

    Raises:
        ConfigInvalid: no executor of that name is in the file, or the file cannot be read.
    """
    try:
        tables = tomllib.loads(settings.executors.read_text("utf-8-sig")).get("executors", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid([Problem(key="TRADEWIRE_EXECUTORS", message=f"{settings.executors}: {error}")]) from None
    # Without both no account is named, and with both they contradict each other.
    if every == (executor is not None):
        raise ConfigInvalid([Problem(key="EXECUTOR", message="name one executor, or --all")])
    if executor is not None and executor not in tables:
        message = f"{executor!r} is not in {settings.executors}; there is {', '.join(tables)}"
        raise ConfigInvalid([Problem(key="EXECUTOR", message=message)])
    return list(tables) if executor is None else [executor]


def check_name(settings: Settings, executor: str | None) -> None:
    """Refuse a filter by an executor that is not in the file. One that was removed is asked for only when it is found.

    Raises:
        ConfigInvalid: no executor of that name is in the file; it names those that are.
    """
    if executor is not None:
        names_of(settings, executor, every=False)


def me() -> str:
    """Return who runs the command: the login name and the machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
