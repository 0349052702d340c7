"""Every kind of alert: how severe it is, how long it has to last, and whether a message reports its end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings


class Severity(StrEnum):
    """How soon a person should look."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlertKind(StrEnum):
    """The kinds of alerts; pipeline/docs/alerts.md has a section for each."""

    EXECUTION_RATE = "execution_rate"
    WORKER_MISSING = "worker_missing"
    KEEPER_DOWN = "keeper_down"
    KEEPER_WAS_DOWN = "keeper_was_down"
    KEEPER_TASK = "keeper_task"
    DEAD_LETTER = "dead_letter"
    UNKNOWN = "unknown"
    LIMIT = "limit"
    STOPPED = "stopped"
    EXIT_NOT_DONE = "exit_not_done"
    EXIT_LATE = "exit_late"
    EXIT_REFUSED = "exit_refused"
    LATE_ORDER = "late_order"
    FINDING = "finding"
    NOT_RECONCILED = "not_reconciled"
    EXIT_BLOCKED = "exit_blocked"
    UNPROTECTED_POSITION = "unprotected_position"
    FOREIGN_ORDER = "foreign_order"
    DUST = "dust"
    FILL_BUSTED = "fill_busted"
    SOURCE_SILENT = "source_silent"
    ACCOUNT_REFUSED = "account_refused"
    UNREADABLE_ROW = "unreadable_row"
    STREAM_DOWN = "stream_down"
    STREAM_ODDITY = "stream_oddity"
    EVENTS_UNDELIVERED = "events_undelivered"
    QUEUE_STUCK = "queue_stuck"
    RECORD_AWAY = "record_away"
    PROCESS_CRASHING = "process_crashing"


#: A problem of these kinds becomes an alert only after so many seconds, so that a restart or a pause raises none.
HOLDS_S: Mapping[AlertKind, float] = MappingProxyType(
    {
        AlertKind.WORKER_MISSING: 15.0,
        AlertKind.KEEPER_DOWN: 10.0,
        # After an outage, each task runs again within 2 s.
        AlertKind.KEEPER_TASK: 5.0,
        AlertKind.SOURCE_SILENT: 5.0,
        AlertKind.QUEUE_STUCK: 3.0,
        AlertKind.EXIT_BLOCKED: 5.0,
        # A stop order follows a fill, or an exit that closed only a part, within about 5 s.
        AlertKind.UNPROTECTED_POSITION: 15.0,
        AlertKind.STREAM_DOWN: 30.0,
        AlertKind.EVENTS_UNDELIVERED: 120.0,
    }
)

#: Kinds that report a single event. They have no end that a message could report.
EVENTS = frozenset(
    {
        AlertKind.KEEPER_WAS_DOWN,
        AlertKind.RECORD_AWAY,
        AlertKind.EXIT_REFUSED,
        AlertKind.LATE_ORDER,
        AlertKind.FOREIGN_ORDER,
        AlertKind.DUST,
        AlertKind.FILL_BUSTED,
        AlertKind.STREAM_ODDITY,
    }
)


@dataclass(frozen=True, kw_only=True)
class Raised:
    """Something that is wrong now."""

    #: Stays the same while the problem lasts.
    key: str
    kind: AlertKind
    severity: Severity
    #: One sentence for a person.
    subject: str
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the alert as the statement `raise` takes it."""
        return {
            "key": self.key,
            "kind": self.kind.value,
            "severity": self.severity.value,
            "subject": self.subject,
            "facts": {name: str(value) for name, value in self.facts.items()},
        }


@dataclass(frozen=True, kw_only=True)
class ConditionResult:
    """The problems that one condition found, and the kinds that it checked."""

    kinds: frozenset[AlertKind]
    raised: tuple[Raised, ...]
    #: True if every problem of these kinds was found. Then an open alert that is not in *raised* is over.
    complete: bool = True


#: Finds what is wrong now with the given executors.
Condition = Callable[[Connection[DictRow], Mapping[str, ExecutorSettings]], ConditionResult]


def raised(
    kind: AlertKind, which: str, subject: str, severity: Severity = Severity.CRITICAL, **facts: object
) -> Raised:
    """Return an alert of *kind* about *which*; an empty *which* means that there is only one of its kind."""
    key = f"{kind}:{which}" if which else kind.value
    return Raised(key=key, kind=kind, severity=severity, subject=subject, facts=facts)


def found(kind: AlertKind, alerts: Iterable[Raised], *, complete: bool = True) -> ConditionResult:
    """Return the result of a condition that checks for one kind."""
    return ConditionResult(kinds=frozenset({kind}), raised=tuple(alerts), complete=complete)
