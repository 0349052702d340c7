"""Check every condition once, and record which alerts have begun and ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.monitoring.alerts.alert_store import AlertStore, ChangedAlert, log_changes
from pipeline.monitoring.alerts.conditions import keeper_down
from pipeline.monitoring.alerts.kinds import AlertKind, Condition, ConditionResult, Raised, Severity, found, raised
from pipeline.store.query import fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql

_WATCHER = "keeper"
#: If no check was made for this long, and executions were recorded meanwhile, an alert reports it.
GAP = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class _LastCheck:
    looked_at: datetime
    gap: timedelta
    #: The number of executions that were recorded since then, without skipped ones.
    executions: int


@dataclass(kw_only=True)
class AlertMonitor:
    """Checks the conditions for the leading keeper. Running it twice opens no alert twice."""

    record: Record
    executors: Mapping[str, ExecutorSettings]
    conditions: Sequence[Condition]
    store: AlertStore = field(default_factory=AlertStore)
    gap: timedelta = GAP

    def run_once(self) -> int:
        """Check once; return how many alerts have begun or ended. Raises RecordUnavailable."""

        def unit(connection: Connection[DictRow]) -> list[ChangedAlert]:
            unwatched = self._unwatched(connection)
            results = [condition(connection, self.executors) for condition in self.conditions]
            # This process is the leading keeper, so an alert that no keeper runs is over.
            results.append(found(AlertKind.KEEPER_DOWN, []))
            results.append(found(AlertKind.KEEPER_WAS_DOWN, [] if unwatched is None else [unwatched]))
            return self.store.note(connection, results)

        changed = self.record.run(unit)
        # After the commit, because a unit may run again and would log twice.
        log_changes(changed)
        return len(changed)

    def _unwatched(self, connection: Connection[DictRow]) -> Raised | None:
        """Note this check; return an alert if the last check is long ago and executions were recorded since."""
        last = fetch_maybe(connection, _LastCheck, sql("alerts", "looked"), {"watcher": _WATCHER})
        # If no executions came, nothing was missed.
        if last is None or last.gap < self.gap or not last.executions:
            return None
        subject = f"no keeper ran for {last.gap.total_seconds():.0f} s, while {last.executions} executions came"
        which, facts = last.looked_at.isoformat(), {"since": last.looked_at, "executions": last.executions}
        return raised(AlertKind.KEEPER_WAS_DOWN, which, subject, Severity.WARNING, **facts)


def check_keeper(record: Record, store: AlertStore, *also: ConditionResult) -> int:
    """Check, from another process than the keeper, whether a keeper leads; return how many alerts began or ended.

    *also* are the results of other conditions that this process checked.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    changed = record.run(lambda connection: store.note(connection, [keeper_down(connection), *also]))
    log_changes(changed)
    return len(changed)
