"""Say which keys of executors.toml are read and checked but do not act yet; the one place that knows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from config.schema.executor import ExecutorSettings

#: By table and key, the values with which nothing is missing; other values do not act yet.
_IDLE: Mapping[tuple[str, str], frozenset[object]] = MappingProxyType(
    {
        ("order", "entry_timeout_s"): frozenset(),
        ("order", "unprotected"): frozenset({"allow"}),
    }
)


def not_yet() -> frozenset[str]:
    """Return the keys of which some value does not act yet, such as `order.entry_timeout_s`."""
    return frozenset(f"{section}.{name}" for section, name in _IDLE)


def not_enforced_yet(executors: Mapping[str, ExecutorSettings]) -> list[str]:
    """Return the keys that some executor of the file sets and that do not act yet, each once."""
    return [
        f"{section}.{name}"
        for (section, name), acting in _IDLE.items()
        if any(_is_set(executor, section, name, acting) for executor in executors.values())
    ]


def _is_set(executor: ExecutorSettings, section: str, name: str, acting: frozenset[object]) -> bool:
    table = getattr(executor, section)
    return name in table.model_fields_set and getattr(table, name) not in acting
