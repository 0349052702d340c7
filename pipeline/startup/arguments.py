"""Read the arguments that several commands take: ids, symbols and executors."""

from uuid import UUID

from config.schema.executor import Executors, ExecutorSettings
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.symbols import canonical


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
    try:
        return None if text is None else canonical(text)
    except ValueError as error:
        raise ConfigInvalid([Problem(key="--symbol", message=str(error))]) from None


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
