"""Read executions, and one signal's whole history, from the record.

Functions that read the record raise RecordUnavailable when PostgreSQL is away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from config.checks.changes import differences
from config.schema.executor import ExecutorSettings, settings_hash
from pipeline.model.errors import NotPossible
from pipeline.model.fills import ITEMISED_WITHIN, FillSource
from pipeline.model.reasons import sentence
from pipeline.model.states import State
from pipeline.store.query import fetch_all, fetch_maybe
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow, OrderRow, SignalRow
from pipeline.store.settings_archive import bodies, body_of
from pipeline.store.statements import sql
from pipeline.views.counts import meaning_of
from pipeline.views.history_schemas import (
    AttemptView,
    DeliveryNote,
    DeliveryRow,
    ExecutionHistory,
    FillView,
    MoveView,
    OrderView,
    SettingsView,
    SignalHistory,
)
from pipeline.views.schemas import SignalView


@dataclass(frozen=True, kw_only=True)
class _MoveRow:
    at: datetime
    from_state: State | None
    to_state: State
    reason_code: str | None
    reason_facts: dict[str, Any]
    moved_by: str
    moved_why: str | None


@dataclass(frozen=True, kw_only=True)
class _FillRow:
    generation: int
    fill_id: str
    quantity: Decimal
    price: Decimal | None
    filled_at: datetime
    source: FillSource
    voided_at: datetime | None
    corrected_by: str | None
    #: The broker's list of fills is not read for it any more.
    given_up: bool

    def view(self) -> FillView:
        """Return the fill as programs read it."""
        named = None if self.source is FillSource.ORDER else self.fill_id
        return FillView.model_validate(vars(self) | {"fill_id": named, "note": self.note})

    @property
    def note(self) -> str | None:
        """Return what a person should know of this fill."""
        if self.voided_at is not None:
            by = f": {self.corrected_by} is in its place" if self.corrected_by else ""
            return f"the broker {'corrected it' if self.corrected_by else 'took it back'}{by}"
        if self.source is not FillSource.ORDER:
            return None
        if self.given_up:
            return "not itemised: the broker's list of fills did not show it within a day"
        return "not itemised yet: the broker's list of fills has not shown it"


@dataclass(frozen=True, kw_only=True)
class _RequestedOrder(OrderRow):
    #: A person's request to cancel the order.
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None
    cancel_requested_why: str | None


@dataclass(frozen=True, kw_only=True)
class _DecidedExecution(ExecutionRow):
    #: The hash of the settings under which the execution was decided; None when they are not known.
    settings_hash: str | None
    pruned_at: datetime | None


def executions(
    record: Record,
    *,
    signal_id: UUID | None = None,
    state: State | None = None,
    executor_id: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[ExecutionRow]:
    """Return executions, newest first."""
    key = {"signal_id": signal_id, "state": state, "executor_id": executor_id, "since": since, "limit": limit}
    return record.all(ExecutionRow, sql("executions", "list"), key)


def executions_of(record: Record, signal_ids: Sequence[UUID]) -> list[ExecutionRow]:
    """Return all executions of these signals, in the order of their recording."""
    return record.all(ExecutionRow, sql("executions", "of_signal"), {"signal_ids": list(signal_ids)})


def signal_history(
    record: Record, some_id: UUID, *, executors: Mapping[str, ExecutorSettings] | None = None
) -> SignalHistory:
    """Return everything that happened to one signal at every executor; *some_id* is a signal's or an execution's.

    If *executors* (the current settings) is given, each execution shows how they changed since it was decided.

    Raises:
        NotPossible: there is no such signal or execution.
    """

    def unit(connection: Connection[DictRow]) -> SignalHistory:
        signal = fetch_maybe(connection, SignalRow, sql("history", "signal_of"), {"id": some_id})
        if signal is None:
            raise NotPossible(f"there is no signal and no execution {some_id}")
        key = {"signal_ids": [signal.signal_id]}
        rows = fetch_all(connection, _DecidedExecution, sql("executions", "of_signal"), key)
        delivered = fetch_all(connection, DeliveryRow, sql("webhooks", "of_signal"), vars(signal))
        return SignalHistory(
            signal=SignalView.model_validate(signal),
            deliveries=[DeliveryNote.model_validate(each) for each in delivered],
            executions=[_execution_history(connection, row, (executors or {}).get(row.executor_id)) for row in rows],
        )

    return record.run(unit)


def _execution_history(
    connection: Connection[DictRow], row: _DecidedExecution, executor: ExecutorSettings | None
) -> ExecutionHistory:
    key = {"execution_id": row.execution_id}
    moves = fetch_all(connection, _MoveRow, sql("history", "history"), key)
    more = {
        "reason": row.reason,
        "moves": [_move(move, row.created_at) for move in moves],
        "attempts_made": fetch_all(connection, AttemptView, sql("history", "attempts"), key),
        "orders": _orders(connection, row.execution_id),
        "settings": _settings(connection, row.settings_hash, executor),
    }
    return ExecutionHistory.model_validate(vars(row) | more | meaning_of(row.reason_code))


def _orders(connection: Connection[DictRow], execution_id: UUID) -> list[OrderView]:
    """Return the execution's orders, each with its fills."""
    key = {"execution_id": execution_id, "within": ITEMISED_WITHIN}
    fills = fetch_all(connection, _FillRow, sql("history", "fills"), key)
    return [
        OrderView.model_validate(
            vars(order) | {"fills": [fill.view() for fill in fills if fill.generation == order.generation]}
        )
        for order in fetch_all(connection, _RequestedOrder, sql("history", "orders"), key)
    ]


def _move(move: _MoveRow, created_at: datetime) -> MoveView:
    after_ms = round((move.at - created_at).total_seconds() * 1000, 1)
    reason = sentence(move.reason_code, move.reason_facts) if move.reason_code else None
    more = {"after_ms": after_ms, "reason": reason, "request_id": move.reason_facts.get("request_id")}
    return MoveView.model_validate(vars(move) | more)


def _settings(connection: Connection[DictRow], used: str | None, executor: ExecutorSettings | None) -> SettingsView:
    """Return the hash that an execution was decided under, and what changed in its executor's settings since."""
    if used is None or executor is None:
        return SettingsView(hash=used, current=None, changes=None)
    if used == settings_hash(executor):
        return SettingsView(hash=used, current=True, changes=[])
    kept = bodies(connection, [used]).get(used)
    changes = None if kept is None else [str(change) for change in differences(kept, body_of(executor))]
    return SettingsView(hash=used, current=False, changes=changes)
