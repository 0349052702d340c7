"""Find in the record what is wrong now with processes, sources and accounts.

Each condition runs a few statements whose cost does not grow with the length of the history.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from config.alerts import ExecutionRateAlert
from config.schema.executor import ExecutorSettings
from pipeline.accounts.unreadable_rows import unreadable_rows
from pipeline.monitoring.alerts import (
    execution_conditions,
    exit_conditions,
    fill_conditions,
    finding_conditions,
    protection_conditions,
    stream_conditions,
)
from pipeline.monitoring.alerts.execution_rates import ExecutionRates
from pipeline.monitoring.alerts.kinds import AlertKind, Condition, ConditionResult, Raised, Severity, found, raised
from pipeline.store.processes import living_processes
from pipeline.store.query import fetch_all, fetch_one
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class _Stop:
    executor_id: str
    kind: str
    cause: str
    set_by: str
    why: str | None
    flatten: bool


@dataclass(frozen=True, kw_only=True)
class _Refusal:
    executor_id: str
    message: str
    #: True if the broker refuses only entries, and the account may close positions.
    entries_only: bool


def conditions(rate: ExecutionRateAlert) -> list[Condition]:
    """Return every condition that the keeper checks, except limits and stuck queues.

    New alerts are reported in this order.
    """
    return [
        _workers,
        execution_conditions.dead_letters,
        execution_conditions.unknown_outcomes,
        _switches,
        execution_conditions.failed_exits,
        execution_conditions.late_exits,
        execution_conditions.refused_exits,
        execution_conditions.late_orders,
        finding_conditions.findings,
        finding_conditions.waiting_entries,
        exit_conditions.blocked_exits,
        protection_conditions.unprotected_positions,
        exit_conditions.foreign_orders,
        exit_conditions.dust,
        fill_conditions.busted_fills,
        _sources,
        _refusals,
        _unreadable_rows,
        stream_conditions.streams_down,
        stream_conditions.odd_frames,
        ExecutionRates(rate),
    ]


def keeper_down(connection: Connection[DictRow]) -> ConditionResult:
    """Check whether any keeper leads."""
    leading = fetch_one(connection, int, sql("alerts", "keepers"))
    subject = "no keeper runs: lost jobs, unknown orders, fills and limits are not looked after"
    return found(AlertKind.KEEPER_DOWN, [] if leading else [raised(AlertKind.KEEPER_DOWN, "", subject)])


def _workers(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    alive = {process.name for process in living_processes(connection) if process.kind == "worker"}
    kind, missing = AlertKind.WORKER_MISSING, [name for name in executors if name not in alive]
    return found(kind, [raised(kind, name, f"{name} has no worker; its executions wait") for name in missing])


def _switches(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    stops = fetch_all(connection, _Stop, sql("alerts", "switches"), {"executor_ids": list(executors)})
    return found(AlertKind.STOPPED, map(_stopped, stops))


def _stopped(stop: _Stop) -> Raised:
    closing = ", and everything is being closed" if stop.flatten else ""
    why = f" ({stop.why})" if stop.why else ""
    return raised(
        AlertKind.STOPPED,
        f"{stop.executor_id}:{stop.kind}:{stop.cause}",
        f"{stop.executor_id} is {stop.kind}: {stop.cause}{why}, by {stop.set_by}{closing}",
        Severity.CRITICAL if stop.kind == "halted" else Severity.WARNING,
        executor=stop.executor_id,
        switch=stop.kind,
        cause=stop.cause,
    )


def _sources(connection: Connection[DictRow], _: Mapping[str, ExecutorSettings]) -> ConditionResult:
    alerts = []
    for process in living_processes(connection):
        sources = process.facts.get("sources") or {} if process.kind == "producer" else {}
        for name, health in sources.items():
            trouble = _source_trouble(health)
            if trouble is not None:
                subject = f"the source {name} {trouble}"
                alerts.append(raised(AlertKind.SOURCE_SILENT, name, subject, Severity.WARNING))
    return found(AlertKind.SOURCE_SILENT, alerts)


def _source_trouble(health: Mapping[str, str]) -> str | None:
    # A source that has finished, such as a file that was read, is silent as intended. The producer reports these facts
    # as text.
    silent, failing = health.get("silent") == "True", health.get("ok") == "False"
    if health.get("finished") == "True" or not (silent or failing):
        return None
    since = f", since {health['last_signal_at']}" if health.get("last_signal_at") else ""
    return ("cannot be read" if failing else "is silent for longer than its rhythm") + since


def _refusals(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    refusals = fetch_all(connection, _Refusal, sql("alerts", "refusals"), {"executor_ids": list(executors)})
    alerts = []
    for refusal in refusals:
        # The broker's message may be long, and the subject becomes the title of our message.
        refused = "every entry" if refusal.entries_only else "the account"
        subject = f"the broker refuses {refused} of {refusal.executor_id}: {refusal.message[:200]}"
        alerts.append(raised(AlertKind.ACCOUNT_REFUSED, refusal.executor_id, subject, executor=refusal.executor_id))
    return found(AlertKind.ACCOUNT_REFUSED, alerts)


def _unreadable_rows(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    alerts = [
        raised(
            AlertKind.UNREADABLE_ROW,
            f"{row.executor_id}:{row.kind}:{row.row_id}",
            f"the {row.kind} {row.row_id} at the broker of {row.executor_id} cannot be read",
            executor=row.executor_id,
        )
        for row in unreadable_rows(connection, executors)
    ]
    return found(AlertKind.UNREADABLE_ROW, alerts)
