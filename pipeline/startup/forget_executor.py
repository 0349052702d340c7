"""Let an executor go that is not in the file any more: end what waits, and say what nobody will look after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Json

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import NotPossible
from pipeline.monitoring.heartbeats import GONE_AFTER
from pipeline.startup.removed_executors import Gone, gone_executors
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

# Leases that ran out while no keeper was there to see it: far more than workers.
_LEASES = 10_000


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What became of an executor's open work."""

    executor_id: str
    #: Executions that waited, and are skipped now.
    ended: int
    #: Executions of which nobody knows whether the broker has their order: dead letters now.
    buried: int
    #: All its dead letters, which only a person closes.
    dead: int
    #: Orders that the broker has or may have, each in a few words. Nobody cancels or follows them.
    orders: tuple[str, ...]
    #: Positions that nobody will close.
    positions: tuple[str, ...]


def forget(
    record: Record, executors: Mapping[str, ExecutorSettings], executor_id: str, *, by: str, why: str
) -> Forgotten:
    """Let *executor_id* go: processes start without it from now on. Nothing is asked of its broker.

    Raises:
        NotPossible: it is in the file, nothing of that name ever was, or a worker of it still runs.
        RecordUnavailable: PostgreSQL is away; nothing was changed.
    """
    if executor_id in executors:
        raise NotPossible(f"executor {executor_id} is in the executors file: take its table out first")

    def unit(connection: Connection[DictRow]) -> Forgotten:
        key = {"executor_id": executor_id, "by": by, "why": why}
        if connection.execute(sql("removed_executors", "known"), key).fetchone() is None:
            raise NotPossible(f"nothing ever happened at an executor {executor_id}")
        # Before anything ends: what it holds is told as it was.
        left = next((gone for gone in gone_executors(connection, executors) if gone.executor_id == executor_id), None)
        _refuse_running(connection, executor_id, by)
        forgotten = _end(connection, key, left)
        values = key | {"left_over": Json({"orders": forgotten.orders, "positions": forgotten.positions})}
        connection.execute(sql("removed_executors", "forget"), values)
        return forgotten

    forgotten = record.run(unit)
    log.info("executor.forgotten", executor_id=executor_id, by=by, why=why, ended=forgotten.ended)
    return forgotten


def _refuse_running(connection: Connection[DictRow], executor_id: str, by: str) -> None:
    rows = connection.execute(sql("heartbeats", "living"), {"within": GONE_AFTER}).fetchall()
    for row in rows:
        if row["kind"] == "worker" and row["name"] == executor_id:
            raise NotPossible(f"a worker of {executor_id} still runs (pid {row['pid']}): stop it first")
    connection.execute(sql("keeper", "end_expired_leases"), {"limit": _LEASES, "moved_by": by})
    busy = connection.execute(sql("removed_executors", "submitting"), {"executor_id": executor_id}).fetchone()
    if busy is not None:
        raise NotPossible(f"{busy['leased_by']} is at execution {busy['execution_id']}: try again in some seconds")


def _end(connection: Connection[DictRow], key: dict[str, Any], left: Gone | None) -> Forgotten:
    ended = connection.execute(sql("removed_executors", "end_waiting"), key).fetchall()
    buried = connection.execute(sql("removed_executors", "bury_unknown"), key).fetchall()
    dead = connection.execute(sql("removed_executors", "dead_left"), key).fetchone()
    return Forgotten(
        executor_id=key["executor_id"],
        ended=len(ended),
        buried=len(buried),
        dead=0 if dead is None else dead["count"],
        orders=tuple(
            _order(row) for row in connection.execute(sql("removed_executors", "orders_left"), key).fetchall()
        ),
        positions=tuple(str(holding) for holding in left.holdings) if left is not None else (),
    )


def _order(row: DictRow) -> str:
    known = f"order {row['order_id']}" if row["order_id"] else "perhaps an order"
    return (
        f"{known} ({row['client_order_id']}): {row['side']} {row['quantity'].normalize():f} {row['symbol']}, "
        f"filled {row['filled_quantity'].normalize():f}, account {row['account_number']}"
    )
