"""Say of each account what was last read of it, and what stops it."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.limit_usage import headroom
from pipeline.accounts.snapshot import snapshot_of
from pipeline.accounts.switches import Switches, SwitchStatus, switch_json
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.model.account import Position
from pipeline.model.json_values import number_json, time_json
from pipeline.model.switches import SwitchKind
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.counts import nothing_open, open_counts
from pipeline.views.flatten_progress import progress

#: What an executor is doing, if nothing stops it.
TRADING = "trading"
#: Nobody takes what is queued for it.
NO_WORKER = "no_worker"


def account_states(context: WebContext) -> dict[str, dict[str, Any]]:
    """Return by executor: its account's money, positions and limits as last read. Null: nobody has read it.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    rooms = [room.to_json() for room in headroom(context.record, context.executors)]
    return {
        executor.id: _account(context.record, executor)
        | {"limits": [room for room in rooms if room["executor_id"] == executor.id]}
        for executor in context.executors.values()
    }


def trading_status(context: WebContext) -> dict[str, Any]:
    """Return what each executor is doing, and in one word what all are.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    counts = open_counts(context.record)
    each = [_status(context.record, executor, counts) for executor in context.executors.values()]
    trading = sum(one["status"] == TRADING for one in each)
    word = TRADING if trading == len(each) else "partly" if trading else "stopped"
    return {"status": word, "executors": each}


def _status(record: Record, executor: ExecutorSettings, counts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    stand = Switches(record).active_switches(executor.id)
    open_ = counts.get(executor.id, nothing_open())
    account = _account(record, executor)
    flattens = any(switch.flatten for switch in stand.switches)
    return {
        "executor_id": executor.id,
        "mode": executor.mode,
        "live": executor.mode == "live",
        "status": _word(stand, open_["workers"]),
        "account": account,
        "positions_count": account["positions_count"],
        **open_,
        "switches": [switch_json(switch) for switch in stand.switches],
        "flattening": progress(record, executor.id).to_json() if flattens else None,
    }


def _word(stand: SwitchStatus, workers: int) -> str:
    kinds = {switch.kind for switch in stand.switches}
    hardest = next((kind.value for kind in reversed(SwitchKind) if kind in kinds), None)
    return hardest or (TRADING if workers else NO_WORKER)


def _account(record: Record, executor: ExecutorSettings) -> dict[str, Any]:
    key = {"executor_id": executor.id}

    def unit(connection: Connection[DictRow]) -> tuple[DictRow | None, DictRow | None]:
        row = connection.execute(sql("accounts", "snapshot"), key).fetchone()
        return row, connection.execute(sql("accounts", "refusal"), key).fetchone()

    row, refusal = record.run(unit)
    snapshot = None if row is None else snapshot_of(row)
    account = None if snapshot is None else snapshot.account
    return {
        "executor_id": executor.id,
        "mode": executor.mode,
        "account_number": executor.account if account is None else account.number,
        "currency": None if account is None else account.currency,
        "equity": None if account is None else number_json(account.equity),
        "last_equity": None if account is None else number_json(account.last_equity),
        "cash": None if account is None else number_json(account.cash),
        "buying_power": None if account is None else number_json(account.buying_power),
        "blocked": None if account is None else account.blocked,
        "refused": None if refusal is None else refusal["message"],
        "positions_count": None if snapshot is None else len(snapshot.positions),
        "positions": None if snapshot is None else [_position(position) for position in snapshot.positions],
        "timestamp": None if snapshot is None else time_json(snapshot.taken_at),
    }


def _position(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "quantity": number_json(position.quantity),
        "average_entry_price": number_json(position.average_entry_price),
        "current_price": number_json(position.current_price),
        "unrealised": number_json(position.unrealised),
    }
