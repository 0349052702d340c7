"""What the producer needs of a source of signals, and how an installed source is opened by its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from pydantic import SecretStr

from pipeline.model.errors import ConfigInvalid, Problem

#: Installed distributions name their sources in this entry-point group.
GROUP = "tradewire.sources"


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Input that could not be read as a signal: it is kept as a refusal, not dropped.

    Attributes:
        raw: What is known of it, as JSON; `source_id` is always set.
        code: A word for programs, like `invalid_json`.
        message: A sentence for people that says where and what.
    """

    raw: Mapping[str, Any]
    code: str
    message: str


Item = Mapping[str, Any] | Unreadable


class Source(Protocol):
    """Where signals come from. Used by one thread."""

    #: Names the source in the record: `source` of every signal that does not name one itself.
    name: str
    #: Seconds between two pieces of news when all is well; 0 when there is no such rhythm.
    cadence_s: float
    #: Seconds to wait between two polls; 0 for a source that waits inside `poll`.
    pause_s: float

    @property
    def finished(self) -> bool:
        """True when nothing will come any more, as at the end of a file."""

    def poll(self, stop: threading.Event) -> Sequence[Item]:
        """Return what is new, in order: raw signals with `source_id` set, and what could not be read.

        Returns within about a second once *stop* is set. May return the same signal again: `source_id` makes
        that harmless. Whatever it raises is logged, and it is called again after a while.
        """

    def close(self) -> None:
        """Let go of files and connections. Called once, after the last `poll`."""


@dataclass(frozen=True, kw_only=True)
class AlpacaKeys:
    """The keys for Alpaca's market data, and its address when it is not the usual one."""

    key: str
    secret: SecretStr
    base_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What a source may need to be opened; each takes what it uses.

    Attributes:
        exchange_url: Where the paper exchange listens, for `replay`.
        cadence_s: Seconds per cycle.
        alpaca: Keys for `alpaca`.
        path: The file for `file`; `-` is standard input.
        symbols: The only symbols to give signals for; empty for all that the source has.
    """

    exchange_url: str | None = None
    cadence_s: float = 5.0
    alpaca: AlpacaKeys | None = None
    path: str | None = None
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Produces:
    """What all signals of a source are about; None where nobody knows.

    A source's module may say it, beside `open_source`, with `produces(context: SourceContext) -> Produces`. An
    executor that can never trade any of it is warned about.
    """

    symbols: tuple[str, ...] | None = None
    strategies: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None


OpenSource = Callable[[SourceContext], Source]


def known_sources() -> dict[str, EntryPoint]:
    """Return the installed sources by name, without loading any."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def produced_by(name: str, context: SourceContext) -> Produces:
    """Return what the source *name* says of its signals, without opening it."""
    entry = known_sources().get(name)
    if entry is None:
        return Produces()
    try:
        describe = getattr(import_module(entry.module), "produces", None)
    except ImportError:
        # Who opens it says so.
        return Produces()
    return Produces() if describe is None else describe(context)


def open_source_by_name(name: str, context: SourceContext) -> Source:
    """Open the source *name* with *context*.

    Raises:
        ConfigInvalid: There is no such source, it cannot be loaded, or *context* lacks what it needs.
    """
    known = known_sources()
    if name not in known:
        listed = ", ".join(sorted(known)) or "none is installed"
        raise ConfigInvalid([Problem(key="source", message=f"{name!r} is not a source; known are: {listed}")])
    try:
        open_source: OpenSource = known[name].load()
    except (ImportError, AttributeError) as exc:
        raise ConfigInvalid([Problem(key="source", message=f"{name!r} cannot be loaded: {exc}")]) from exc
    return open_source(context)
