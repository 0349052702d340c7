"""Every kind of alert: how grave it is, how long it has to last, and whether its end is news."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Severity(StrEnum):
    """How soon a person should look."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlertKind(StrEnum):
    """What is wrong; pipeline/docs/alerts.md has a section for each."""

    EXECUTION_RATE = "execution_rate"
    WORKER_MISSING = "worker_missing"
    KEEPER_DOWN = "keeper_down"
    KEEPER_WAS_DOWN = "keeper_was_down"
    DEAD_LETTER = "dead_letter"
    UNKNOWN = "unknown"
    LIMIT = "limit"
    STOPPED = "stopped"
    EXIT_NOT_DONE = "exit_not_done"
    EXIT_LATE = "exit_late"
    LATE_ORDER = "late_order"
    SOURCE_SILENT = "source_silent"
    ACCOUNT_REFUSED = "account_refused"


#: Seconds for which these have to last before they are an alert: processes are started anew, sources pause.
HOLDS_S: Mapping[AlertKind, float] = MappingProxyType(
    {AlertKind.WORKER_MISSING: 15.0, AlertKind.KEEPER_DOWN: 10.0, AlertKind.SOURCE_SILENT: 5.0}
)

#: Events: that they are past is no news.
EVENTS = frozenset({AlertKind.KEEPER_WAS_DOWN, AlertKind.LATE_ORDER})


@dataclass(frozen=True, kw_only=True)
class Raised:
    """Something that is wrong now."""

    #: The same for as long as it is the same trouble.
    key: str
    kind: AlertKind
    severity: Severity
    #: One sentence for a person.
    subject: str
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as the record takes it."""
        return {
            "key": self.key,
            "kind": self.kind.value,
            "severity": self.severity.value,
            "subject": self.subject,
            "facts": {name: str(value) for name, value in self.facts.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look for some kinds has found."""

    kinds: frozenset[AlertKind]
    raised: tuple[Raised, ...]
    #: Everything that is wrong was seen: what was not, is over.
    complete: bool = True
