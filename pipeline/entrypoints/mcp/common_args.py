"""What every tool begins and ends with: the settings of the moment, the record, and errors in words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar
from uuid import UUID

from mcp.server.mcpserver.exceptions import ToolError

from config.schema.settings import Settings, load_settings
from config.services import effective
from pipeline.model.errors import ConfigInvalid, Problem, TradewireError
from pipeline.startup.context import open_record
from pipeline.store.record import Record

P = ParamSpec("P")
T = TypeVar("T")


def settings_now() -> Settings:
    """Return the settings in force, with what a running `up` fills in.

    Read for each call: the server outlives an `up`, and the next one has other addresses.

    Raises:
        ConfigInvalid: with every problem.
    """
    return effective(load_settings())


@contextmanager
def record_now() -> Iterator[tuple[Settings, Record]]:
    """Open the record for one call.

    Raises:
        ConfigInvalid: nobody says where it is, or the environment is wrong.
    """
    settings = settings_now()
    with open_record(settings) as record:
        yield settings, record


def in_words(tool: Callable[P, T]) -> Callable[P, T]:
    """Return *tool* with what we foresee told to who asks, as a sentence; the rest is ours and goes to the log."""

    @functools.wraps(tool)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return tool(*args, **kwargs)
        except TradewireError as error:
            raise ToolError(str(error)) from None

    return told


def id_of(text: str, key: str) -> UUID:
    """Read an id.

    Raises:
        ConfigInvalid: it is none; *key* says where.
    """
    try:
        return UUID(text)
    except ValueError:
        raise ConfigInvalid([Problem(key=key, message=f"{text!r} is not an id")]) from None
