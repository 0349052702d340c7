"""Define the protocol of a signal source, and open an installed source by its name."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any, Protocol

from pydantic import SecretStr

from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.plugins import installed_plugins

#: The key under which a source keeps the text of input that it cannot read.
UNREADABLE_TEXT = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Input that could not be read as a signal. It is recorded as a refusal.

    Attributes:
        raw: The input, or the known part of it, as JSON; `source_id` is always set. The text of the input is under
            `UNREADABLE_TEXT`, so that text which reads as an exit raises an alert.
        code: The refusal's code for programs, like `invalid_json`.
        message: A sentence for people: where the fault is and what it is.
    """

    raw: Mapping[str, Any]
    code: str
    message: str


Item = Mapping[str, Any] | Unreadable


class Source(Protocol):
    """A source of signals. One thread calls `poll` and `close`; other threads may read `finished`."""

    #: The source's name in the record, for signals that do not name a source themselves.
    name: str
    #: Seconds between two signals in normal operation; 0 when there is no regular interval.
    cadence_s: float
    #: Seconds to wait between two polls; 0 for a source that waits inside `poll`.
    pause_s: float

    @property
    def finished(self) -> bool:
        """Whether no more signals will come, as at the end of a file."""

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Return new items in order: raw signals with `source_id` set, and input that could not be read.

        It must return within about a second once *stop* is set. It may return a signal again, since the same
        `source_id` is recorded only once. An exception is logged, and the source is polled again after a pause.
        """

    def close(self) -> None:
        """Close files and connections. `poll` is not called afterwards."""


@dataclass(frozen=True, kw_only=True)
class AlpacaKeys:
    """The keys for Alpaca's market data; *base_url* is set only if the address is not the default one."""

    key: str
    secret: SecretStr
    base_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """The settings with which a source is opened. Each source reads those that it needs.

    Attributes:
        exchange_url: The paper exchange's address, for `replay`.
        cadence_s: Seconds per cycle of the replay; for `alpaca`, the pause between two polls (at least 2 s).
        alpaca: Keys for `alpaca`.
        path: The file for `file`; `-` is standard input.
    """

    exchange_url: str | None = None
    cadence_s: float = 5.0
    alpaca: AlpacaKeys | None = None
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class Produces:
    """The symbols, strategies and actions that the signals of a source can have; None for those that are not known.

    To declare them, a source's module defines `produces(context: SourceContext) -> Produces` beside `open_source`.
    `config check`, `up` and the producer warn of an executor that takes none of these signals as an entry.
    """

    symbols: tuple[str, ...] | None = None
    strategies: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None


OpenSource = Callable[[SourceContext], Source]


def known_sources() -> dict[str, EntryPoint]:
    """Return the installed sources by name, without loading any."""
    return installed_plugins("tradewire.sources")


def produced_by(name: str, context: SourceContext) -> Produces:
    """Return what the source *name* declares, without opening it; None in all fields if it declares nothing."""
    entry = known_sources().get(name)
    if entry is None:
        return Produces()
    try:
        describe = getattr(import_module(entry.module), "produces", None)
    except ImportError:
        # Opening the source will report this error.
        return Produces()
    return Produces() if describe is None else describe(context)


def open_source_by_name(name: str, context: SourceContext) -> Source:
    """Open the source *name* with *context*.

    Raises:
        ConfigInvalid: There is no such source, it cannot be loaded, or *context* lacks what it needs.
    """
    known = known_sources()
    if name not in known:
        listed = ", ".join(sorted([*known, "none"]))
        raise ConfigInvalid([Problem(key="TRADEWIRE_SOURCE", message=f"{name!r} is not a source; known are: {listed}")])
    try:
        open_source: OpenSource = known[name].load()
    except (ImportError, AttributeError) as exc:
        raise ConfigInvalid([Problem(key="source", message=f"{name!r} cannot be loaded: {exc}")]) from exc
    return open_source(context)
