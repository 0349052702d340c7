"""Read the record for people: executions, one signal's whole life, and what came of it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.checks.changes import differences
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.intake.webhooks.deliveries import deliveries_of
from pipeline.model.errors import NotPossible
from pipeline.model.json_values import number_json, time_json
from pipeline.model.reason_catalogue import CATALOGUE
from pipeline.model.reasons import Code, sentence
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow, SignalRow
from pipeline.store.settings_archive import bodies, body_of
from pipeline.store.statements import sql
from pipeline.views.json_shapes import execution_json, signal_json


def executions(
    record: Record,
    *,
    signal_id: UUID | None = None,
    state: State | None = None,
    executor_id: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[ExecutionRow]:
    """Return executions, newest first.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"signal_id": signal_id, "state": state, "executor_id": executor_id, "since": since, "limit": limit}
    rows = record.run(lambda connection: connection.execute(sql("executions", "list"), key).fetchall())
    return [ExecutionRow.of(row) for row in rows]


def executions_of(record: Record, signal_ids: Sequence[UUID]) -> list[ExecutionRow]:
    """Return all executions of some signals, in the order of their recording.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    key = {"signal_ids": list(signal_ids)}
    rows = record.run(lambda connection: connection.execute(sql("executions", "of_signal"), key).fetchall())
    return [ExecutionRow.of(row) for row in rows]


def life(record: Record, some_id: UUID, *, executors: Mapping[str, ExecutorSettings] | None = None) -> dict[str, Any]:
    """Return one signal's whole life at every executor; *some_id* is a signal's or an execution's.

    With *executors*, as the file has them now, each execution tells what changed since it was decided.

    Raises:
        NotPossible: there is no such signal or execution.
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> dict[str, Any]:
        row = connection.execute(sql("history", "signal_of"), {"id": some_id}).fetchone()
        if row is None:
            raise NotPossible(f"there is no signal and no execution {some_id}")
        signal = SignalRow.of(row)
        key = {"signal_ids": [signal.signal_id]}
        rows = connection.execute(sql("executions", "of_signal"), key).fetchall()
        return {
            "signal": signal_json(signal),
            "deliveries": deliveries_of(connection, source=signal.source, source_id=signal.source_id),
            "executions": [
                _life_of(connection, ExecutionRow.of(execution))
                | {"settings": _settings_of(connection, execution, executors or {})}
                for execution in rows
            ],
        }

    return record.run(unit)


def _life_of(connection: Connection[DictRow], row: ExecutionRow) -> dict[str, Any]:
    key = {"execution_id": row.execution_id}
    body = execution_json(row)
    if row.reason_code in set(Code):
        meaning = CATALOGUE[Code(row.reason_code)]
        body |= {"meaning": meaning.says, "remedy": meaning.remedy}
    return body | {
        "moves": [_move_json(move, row.created_at) for move in connection.execute(sql("history", "history"), key)],
        "attempts_made": [_attempt_json(attempt) for attempt in connection.execute(sql("history", "attempts"), key)],
        "orders": [_order_json(order) for order in connection.execute(sql("history", "orders"), key)],
    }


def _settings_of(
    connection: Connection[DictRow], row: DictRow, executors: Mapping[str, ExecutorSettings]
) -> dict[str, Any]:
    """Return the hash that the execution was decided under, and what the file changed since; null: not known."""
    used, executor = row["settings_hash"], executors.get(row["executor_id"])
    body: dict[str, Any] = {"hash": used, "current": None, "changes": None}
    if used is None or executor is None:
        return body
    if used == settings_hash(executor):
        return body | {"current": True, "changes": []}
    kept = bodies(connection, [used]).get(used)
    changes = None if kept is None else [str(change) for change in differences(kept, body_of(executor))]
    return body | {"current": False, "changes": changes}


def _move_json(move: DictRow, born: datetime) -> dict[str, Any]:
    return {
        "at": time_json(move["at"]),
        "after_ms": round((move["at"] - born).total_seconds() * 1000, 1),
        "from": None if move["from_state"] is None else move["from_state"].value,
        "to": move["to_state"].value,
        "reason": sentence(move["reason_code"], move["reason_facts"]) if move["reason_code"] else None,
        "by": move["moved_by"],
        "why": move["moved_why"],
    }


def _attempt_json(attempt: DictRow) -> dict[str, Any]:
    return {
        "generation": attempt["generation"],
        "sent_at": time_json(attempt["sent_at"]),
        "took_ms": number_json(attempt["took_ms"]),
        "outcome": attempt["outcome"],
        "message": attempt["message"],
        "order_id": attempt["order_id"],
    }


def _order_json(order: DictRow) -> dict[str, Any]:
    return {
        "client_order_id": order["client_order_id"],
        "order_id": order["order_id"],
        "role": order["role"].value,
        "request": order["request"],
        "order_status": order["order_status"],
        "filled_quantity": number_json(order["filled_quantity"]),
        "filled_average_price": number_json(order["filled_average_price"]),
        "intended_at": time_json(order["intended_at"]),
        "accepted_at": time_json(order["accepted_at"]),
        "ended_at": time_json(order["ended_at"]),
    }
