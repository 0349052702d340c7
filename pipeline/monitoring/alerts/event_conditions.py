"""Find in the record that the receiver of events does not take them."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.monitoring.alerts.kinds import AlertKind, Condition, ConditionResult, Severity, found, raised
from pipeline.store.query import fetch_maybe
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _Undelivered:
    delivered: int
    count: int
    problem: str | None


def undelivered_events(*, has_receiver: bool) -> Condition:
    """Return the condition that the receiver takes no event. Without a receiver, nothing waits for one."""

    def condition(connection: Connection[DictRow], _: object) -> ConditionResult:
        kind = AlertKind.EVENTS_UNDELIVERED
        behind = fetch_maybe(connection, _Undelivered, sql("events", "undelivered")) if has_receiver else None
        if behind is None:
            return found(kind, [])
        subject = (
            f"the receiver of events has taken none after {behind.delivered}, and {behind.count} wait: "
            f"{behind.problem or 'it has not answered yet'}"
        )
        # While the receiver takes events, the number changes: that is a new problem, which has not lasted.
        return found(kind, [raised(kind, str(behind.delivered), subject, Severity.WARNING)])

    return condition
