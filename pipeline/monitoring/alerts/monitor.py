"""Look at what is wrong, and write it down: one look of a watcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.monitoring.alerts.alert_store import AlertStore, say
from pipeline.monitoring.alerts.conditions import keeper_down
from pipeline.monitoring.alerts.kinds import AlertKind, Look, Raised, Severity
from pipeline.store.record import Record
from pipeline.store.statements import sql

_WATCHER = "keeper"
#: Nobody having looked for longer than this is worth saying.
GAP = timedelta(seconds=30)

Looking = Callable[[Connection[DictRow], Mapping[str, ExecutorSettings]], Look]


@dataclass(kw_only=True)
class AlertMonitor:
    """Looks for the leading keeper. Running it twice opens nothing twice."""

    record: Record
    executors: Mapping[str, ExecutorSettings]
    looks: Sequence[Looking]
    ledger: AlertStore = field(default_factory=AlertStore)
    gap: timedelta = GAP

    def run_once(self) -> int:
        """Look once; return how many alerts have begun or ended.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """

        def unit(connection: Connection[DictRow]) -> list[DictRow]:
            was_down = self._missed(connection)
            found = [look(connection, self.executors) for look in self.looks]
            # Whoever looks here leads: a keeper runs.
            found.append(Look(kinds=frozenset({AlertKind.KEEPER_DOWN}), raised=()))
            event = () if was_down is None else (was_down,)
            found.append(Look(kinds=frozenset({AlertKind.KEEPER_WAS_DOWN}), raised=event))
            return self.ledger.note(connection, found)

        changed = self.record.run(unit)
        say(changed)
        return len(changed)

    def _missed(self, connection: Connection[DictRow]) -> Raised | None:
        """Say that nobody looked for a while, though there was something to look after."""
        row = connection.execute(sql("alerts", "looked"), {"watcher": _WATCHER}).fetchone()
        if row is None or row["gap"] < self.gap or not row["executions"]:
            return None
        return Raised(
            key=f"{AlertKind.KEEPER_WAS_DOWN}:{row['looked_at'].isoformat()}",
            kind=AlertKind.KEEPER_WAS_DOWN,
            severity=Severity.WARNING,
            subject=f"no keeper ran for {row['gap'].total_seconds():.0f} s, while {row['executions']} executions came",
            facts={"since": row["looked_at"], "executions": row["executions"]},
        )


def look_for_keeper(record: Record, ledger: AlertStore) -> int:
    """Look whether a keeper runs, for a process that is none; return how many alerts have begun or ended.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    changed = record.run(lambda connection: ledger.note(connection, [keeper_down(connection)]))
    say(changed)
    return len(changed)
