"""Shared by all tools: current settings, the record, and errors as sentences."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from config.places import located_settings
from config.schema.settings import Settings
from config.services import effective
from pipeline.model.errors import TradewireError
from pipeline.startup.context import open_record
from pipeline.store.record import Record

P = ParamSpec("P")
T = TypeVar("T")


def settings_now(*, anywhere: bool = False) -> Settings:
    """Return the current settings, completed by a running `up`; with *anywhere*, also from the last started home.

    They are read for each call, because this server may run longer than an `up`, and the next `up` has other addresses.

    Raises:
        ConfigInvalid: with every problem.
    """
    return effective(located_settings(anywhere=anywhere))


@contextmanager
def record_now(*, anywhere: bool = False) -> Iterator[tuple[Settings, Record]]:
    """Open the record for one call.

    Raises:
        ConfigInvalid: its address is not known, or the environment is wrong.
    """
    settings = settings_now(anywhere=anywhere)
    with open_record(settings) as record:
        yield settings, record


def in_words(tool: Callable[P, T]) -> Callable[P, T]:
    """Wrap *tool*, so that it reports expected errors to the assistant as a sentence. Other errors go to the log."""

    @functools.wraps(tool)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return tool(*args, **kwargs)
        except TradewireError as error:
            raise ToolError(str(error)) from None

    return reporting
