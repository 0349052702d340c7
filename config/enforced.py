"""Say which keys of executors.toml are read and checked but do not act yet; the one place that knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pydantic import BaseModel

from config.executors import ExecutorSettings

#: What a key must hold for nothing to be missing; other values of it do not act yet.
_ACTING_VALUES = MappingProxyType(
    {
        "size.method": frozenset({"equity_percent", "notional", "quantity"}),
        "size.fractional": frozenset({False}),
    }
)

#: The keys that act, whatever they hold.
_ACTING = frozenset(
    {
        "broker",
        "mode",
        "base_url",
        "account",
        "concurrency",
        "route.minimum_confidence",
        "route.symbols",
        "route.deny",
        "route.asset_classes",
        "route.strategies",
        "route.regimes",
        "route.actions",
        "size.value",
        "size.scale_at_100",
        "size.maximum_percent",
        "order.type",
        "order.collar_percent",
        "order.allow_short",
        "limits.buying_power_percent",
        "limits.entry_age_s",
        "limits.account_age_s",
        "retry.attempts",
        "retry.broker_timeout_s",
        "retry.unknown_s",
    }
)


def not_enforced_yet(executors: Mapping[str, ExecutorSettings]) -> list[str]:
    """Return the keys that some executor of the file sets and that do not act yet, each once, in file order.

    A limit that is "off" is not among them: there is nothing to enforce.
    """
    idle = [key for executor in executors.values() for key, value in _set_keys(executor) if not _acts(key, value)]
    return list(dict.fromkeys(idle))


def _acts(key: str, value: object) -> bool:
    return value is None or key in _ACTING or value in _ACTING_VALUES.get(key, ())


def _set_keys(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name not in section.model_fields_set or name == "id":
            continue
        if isinstance(value, BaseModel):
            yield from _set_keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
