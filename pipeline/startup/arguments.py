"""Read the arguments that several commands take: ids, symbols, executors, and who runs the command."""

import getpass
import socket
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from config.schema.executor import Executors, ExecutorSettings
from config.schema.settings import Settings
from config.schema.toml_tables import parsed_toml
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
    """Return the parsed value of the optional argument *key*; None stays None.

    Raises:
        ConfigInvalid: *parse* raised a ValueError. The problem has its message.
    """
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise ConfigInvalid([Problem(key=key, message=str(error))]) from None


def executor_of(executors: Executors, executor_id: str) -> ExecutorSettings:
    """Return the executor that a command names.

    Raises:
        ConfigInvalid: no such executor is in the file.
    """
    if executor_id not in executors:
        raise ConfigInvalid([not_in_file(executors, executor_id)])
    return executors[executor_id]


def not_in_file(executors: Executors, executor_id: str) -> Problem:
    """Return the problem for an executor that is not in the file."""
    message = f"{executor_id!r} is not in {executors.path}; there is {', '.join(executors)}"
    return Problem(key="EXECUTOR", message=message)


def names_of(settings: Settings, executor: str | None, *, every: bool) -> list[str]:
    """Return the names of the executors that a command acts on: *executor*, or with *every* all in the file.

    Only the names are read from the file, so that accounts can be stopped while other parts of it are wrong.

    Raises:
        ConfigInvalid: the file cannot be read or lacks *executor*, or another user can write it, or the command has
            neither a name nor `--all`, or has both.
    """
    # With neither a name nor `--all` no account is named; with both, they contradict each other.
    if every == (executor is not None):
        raise ConfigInvalid([Problem(key="EXECUTOR", message="name one executor, or --all")])
    # It refuses another user's file: with the names in that one, `--all` would stop none of this user's accounts.
    tables = parsed_toml(settings.executors).get("executors", {})
    if not isinstance(tables, dict):
        message = f"{settings.executors}: executors is not a table"
        raise ConfigInvalid([Problem(key="TRADEWIRE_EXECUTORS", message=message)])
    if executor is not None and executor not in tables:
        message = f"{executor!r} is not in {settings.executors}; there is {', '.join(tables)}"
        raise ConfigInvalid([Problem(key="EXECUTOR", message=message)])
    return list(tables) if executor is None else [executor]


def check_name(settings: Settings, executor: str | None) -> None:
    """Refuse to filter by an executor that is not in the file.

    A list calls this only when it is empty, because the record may still have work of a removed executor.

    Raises:
        ConfigInvalid: no executor of that name is in the file; the problem lists those that are.
    """
    if executor is not None:
        names_of(settings, executor, every=False)


def me() -> str:
    """Return who runs the command: the login name and the machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
