"""Find the sources and brokers that installed distributions add to tradewire."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

#: A distribution adds a source or a broker by an entry point of one of these groups, as tradewire itself does in
#: pyproject.toml.
Group = Literal["tradewire.sources", "tradewire.brokers"]


@cache
def installed_plugins(group: Group) -> dict[str, EntryPoint]:
    """Return the entry points of *group* by name, without loading any.

    They are read once per process, because the metadata of every installed distribution has to be searched.
    """
    return {entry.name: entry for entry in entry_points(group=group)}
