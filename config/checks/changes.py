"""Compare two versions of one executor's settings: find the differences, and those that allow more than before."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from config.checks.strictness import looser
from config.schema.executor import ExecutorSettings
from config.schema.fields import value_text
from config.schema.sections import LimitSettings, SizeSettings
from pipeline.model.symbols import canonical_where_known

#: The settings of one executor as JSON: `ExecutorSettings.model_dump(mode="json")`, perhaps by an older release.
Dump = Mapping[str, Any]

#: The only key whose value is a table: lists of symbols by the names of groups.
_GROUPS = "groups"

# An older release stored symbols as the file spelled them. Those of this key and of groups are compared in canonical
# form. `route.symbols` is compared as stored: "BTCUSD" allowed nothing in that release and allows BTC/USD now, so a
# person has to accept the change for a live account.
_DENY = "route.deny"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A key whose value differs, with both values as JSON."""

    #: Such as `limits.daily_loss_percent`.
    key: str
    #: None for off, for a list that is left out and so allows all, and for a missing key.
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {value_text(self.old)} -> {value_text(self.new)}"


def differences(old: Dump, new: Dump) -> list[Change]:
    """Return every key whose value differs, in the order of the settings.

    A key that one of the two lacks, because it is of another release, counts with its default.
    """
    before, after = _defaults() | dict(_values(old)), _defaults() | dict(_values(new))
    return [
        Change(key=key, old=before.get(key), new=after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def loosened(old: Dump, new: Dump) -> list[Change]:
    """Return the changes that allow more than before, in the order of the settings."""
    return [change for change in differences(old, new) if looser(change.key, change.old, change.new)]


def _values(dump: Dump, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in dump.items():
        key = f"{prefix}{name}"
        if key == _GROUPS:
            yield key, {group: _canonical(symbols) for group, symbols in value.items()}
        elif isinstance(value, Mapping):
            yield from _values(value, f"{key}.")
        else:
            yield key, _canonical(value) if key == _DENY and value is not None else value


def _canonical(symbols: Iterable[str]) -> list[str]:
    # A dump of an older release may contain entries that are not valid symbols; they are compared as written.
    return list(dict.fromkeys(map(canonical_where_known, symbols)))


@cache
def _defaults() -> dict[str, Any]:
    size, limits = SizeSettings(method="quantity", value=Decimal(1)), LimitSettings(open_positions=10)
    smallest = ExecutorSettings(id="smallest", mode="exchange", size=size, limits=limits)
    return dict(_values(smallest.model_dump(mode="json")))
