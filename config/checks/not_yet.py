"""List the keys of executors.toml that are read and checked but have no effect yet."""

from collections.abc import Mapping
from types import MappingProxyType

from config.schema.executor import ExecutorSettings

#: By table and key: the values that already have an effect. All other values of these keys have none yet.
_ACTING: Mapping[tuple[str, str], frozenset[object]] = MappingProxyType(
    {("order", "unprotected"): frozenset({"allow"})}
)


def not_yet() -> frozenset[str]:
    """Return the keys for which some values have no effect yet, such as `order.unprotected`."""
    return frozenset(f"{section}.{name}" for section, name in _ACTING)


def not_enforced_yet(executors: Mapping[str, ExecutorSettings]) -> list[str]:
    """Return each key that some executor sets to a value that has no effect yet."""
    return [
        f"{section}.{name}"
        for (section, name), acting in _ACTING.items()
        if any(_is_set(executor, section, name, acting) for executor in executors.values())
    ]


def _is_set(executor: ExecutorSettings, section: str, name: str, acting: frozenset[object]) -> bool:
    table = getattr(executor, section)
    return name in table.model_fields_set and getattr(table, name) not in acting
