"""Read how things stand now: open work, limits, switches, who is alive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.limit_usage import headroom
from pipeline.model.states import UNDECIDED, WORKING
from pipeline.monitoring.heartbeats import GONE_AFTER
from pipeline.store.record import Record
from pipeline.store.statements import sql

#: A metric's name, its labels' values, and how it stands.
Reading = tuple[str, tuple[str, ...], float]


def read(record: Record, executors: Mapping[str, ExecutorSettings]) -> list[Reading]:
    """Return every gauge that the record tells.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    limits = headroom(record, executors)
    readings = record.run(lambda connection: list(_all(connection, executors)))
    for each in limits:
        labels = (each.executor_id, each.limit)
        used = float(each.used / each.allowed) if each.allowed else 1.0
        readings.append(("tradewire_limit_used_ratio", labels, max(used, 0.0)))
        readings.append(("tradewire_limit_left", labels, float(each.left)))
    return readings


def _all(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> Iterator[Reading]:
    key = {"executor_ids": list(executors)}
    yield from _work(connection, executors)
    yield from _letters(connection, executors)
    yield from _budgets(connection, executors, key)
    for row in connection.execute(sql("metrics", "switches"), key).fetchall():
        yield "tradewire_switch_on", (row["executor_id"], row["kind"], row["cause"]), 1
    for name in executors:
        refusal = connection.execute(sql("accounts", "refusal"), {"executor_id": name}).fetchone()
        yield "tradewire_account_refused", (name,), float(refusal is not None)
    yield from _processes(connection, executors)
    for row in connection.execute(sql("metrics", "last_fills"), key).fetchall():
        if row["filled_at"] is not None:
            yield "tradewire_last_fill_timestamp_seconds", (row["executor_id"],), row["filled_at"].timestamp()
    for row in connection.execute(sql("metrics", "last_signals")).fetchall():
        yield "tradewire_last_signal_timestamp_seconds", (row["source"],), row["recorded_at"].timestamp()


def _work(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> Iterator[Reading]:
    """Yield zeros too: what is there can be drawn and compared, what is absent cannot."""
    counts = {
        (name, executor.mode, state.value): 0
        for name, executor in executors.items()
        for state in sorted(UNDECIDED | WORKING)
    }
    oldest, queued = dict.fromkeys(executors, 0.0), dict.fromkeys(executors, 0.0)
    for row in connection.execute(sql("metrics", "unfinished")).fetchall():
        name, state, age = row["executor_id"], row["state"], float(row["oldest_s"])
        counts[name, row["mode"].value, state.value] = row["count"]
        if state in UNDECIDED:
            oldest[name] = max(oldest.get(name, 0.0), age)
        if state.value == "queued":
            queued[name] = max(queued.get(name, 0.0), age)
    for labels, count in counts.items():
        yield "tradewire_executions_unfinished", labels, count
    for name, age in oldest.items():
        yield "tradewire_oldest_unfinished_seconds", (name,), age
    for name, age in queued.items():
        yield "tradewire_queue_age_seconds", (name,), age


def _letters(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> Iterator[Reading]:
    found = dict.fromkeys(executors, (0, 0.0))
    for row in connection.execute(sql("metrics", "letters")).fetchall():
        found[row["executor_id"]] = (row["count"], float(row["oldest_s"]))
    for name, (count, age) in found.items():
        yield "tradewire_dead_letters", (name,), count
        yield "tradewire_dead_letter_age_seconds", (name,), age


def _budgets(
    connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings], key: Mapping[str, Any]
) -> Iterator[Reading]:
    spent = dict.fromkeys(executors, (0, False))
    for row in connection.execute(sql("metrics", "budgets"), key).fetchall():
        spent[row["executor_id"]] = (int(row["spent"]), row["closed"])
    for name, (requests, held) in spent.items():
        yield "tradewire_requests_spent", (name,), requests
        yield "tradewire_requests_held", (name,), float(held)
        limit = executors[name].limits.requests_per_minute
        if limit is not None:
            yield "tradewire_requests_limit", (name,), limit


def _processes(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> Iterator[Reading]:
    alive = {("worker", name): 0 for name in executors} | {("keeper", "keeper"): 0, ("web", "web"): 0}
    unwell = dict(alive)
    for row in connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall():
        who = (row["kind"], row["name"])
        alive[who] = alive.get(who, 0) + 1
        unwell[who] = unwell.get(who, 0) + (not row["healthy"])
    for who, count in alive.items():
        yield "tradewire_processes_alive", who, count
    for who, count in unwell.items():
        yield "tradewire_processes_unwell", who, count
