"""Forget an executor that was removed from the file: end its waiting executions, and list what is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import NotPossible
from pipeline.operations.unwatched import OpenOrder
from pipeline.startup.removed_executors import Holding, removed_executors
from pipeline.store.processes import living_processes
from pipeline.store.query import execute, fetch_all, fetch_maybe, fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

# Expired leases are ended here too: perhaps no keeper runs. This limit is far above the number of workers.
_LEASES = 10_000


@dataclass(frozen=True, kw_only=True)
class ForgottenExecutor:
    """The open work of a forgotten executor, and how it ended."""

    executor_id: str
    #: The number of waiting executions; they were skipped.
    ended: int
    #: The number of executions whose order may be at the broker; they became dead letters.
    buried: int
    #: The number of the executor's open dead letters, including *buried*.
    dead: int
    #: The orders that the broker has or may have, each in a few words. They are neither canceled nor followed.
    orders: tuple[str, ...]
    #: Positions that are not closed.
    positions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _OrderOfAccount(OpenOrder):
    account_number: str

    def __str__(self) -> str:
        return f"{super().__str__()}, account {self.account_number}"


@dataclass(frozen=True, kw_only=True)
class _Submitting:
    execution_id: UUID
    leased_by: str | None


def forget(
    record: Record, executors: Mapping[str, ExecutorSettings], executor_id: str, *, by: str, why: str
) -> ForgottenExecutor:
    """Forget *executor_id*, so that processes start although the file no longer has it. Its broker gets no request.

    Raises:
        NotPossible: the executor is in the file, is not in the record, or has a worker that runs or holds an execution.
        RecordUnavailable: PostgreSQL is away; perhaps nothing was changed.
    """
    if executor_id in executors:
        raise NotPossible(f"executor {executor_id} is in the executors file: remove its table first")

    def unit(connection: Connection[DictRow]) -> ForgottenExecutor:
        values = {"executor_id": executor_id, "by": by, "why": why}
        if not execute(connection, sql("removed_executors", "known"), values):
            raise NotPossible(f"the record knows no executor {executor_id}")
        # Read before the executor is marked as forgotten: afterwards its positions are no longer listed.
        holdings = [
            holding
            for removed in removed_executors(connection, executors)
            if removed.executor_id == executor_id
            for holding in removed.holdings
        ]
        _refuse_running(connection, executor_id, by)
        forgotten = _end(connection, values, holdings)
        # Keep the open orders and positions in the record, because no command will list them again.
        left_over = Json({"orders": forgotten.orders, "positions": forgotten.positions})
        execute(connection, sql("removed_executors", "forget"), values | {"left_over": left_over})
        return forgotten

    forgotten = record.run(unit)
    log.info("executor.forgotten", executor_id=executor_id, by=by, why=why, ended=forgotten.ended)
    return forgotten


def _refuse_running(connection: Connection[DictRow], executor_id: str, by: str) -> None:
    for process in living_processes(connection):
        if process.kind == "worker" and process.name == executor_id:
            raise NotPossible(f"a worker of {executor_id} still runs (pid {process.pid}): stop it first")
    execute(connection, sql("keeper", "end_expired_leases"), {"limit": _LEASES, "moved_by": by})
    busy = fetch_maybe(connection, _Submitting, sql("removed_executors", "submitting"), {"executor_id": executor_id})
    if busy is not None:
        raise NotPossible(f"{busy.leased_by} works on execution {busy.execution_id}: try again in a few seconds")


def _end(connection: Connection[DictRow], values: dict[str, Any], holdings: list[Holding]) -> ForgottenExecutor:
    return ForgottenExecutor(
        executor_id=values["executor_id"],
        ended=execute(connection, sql("removed_executors", "end_waiting"), values),
        buried=execute(connection, sql("removed_executors", "dead_letter_unknown"), values),
        # Count after the unknown executions became dead letters, to include them.
        dead=fetch_one(connection, int, sql("removed_executors", "dead_left"), values),
        orders=tuple(map(str, fetch_all(connection, _OrderOfAccount, sql("removed_executors", "orders_left"), values))),
        positions=tuple(map(str, holdings)),
    )
