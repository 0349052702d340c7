"""Report each account as last read, and the switches that stop it.

Functions that read the record raise RecordUnavailable when PostgreSQL is away.
"""

from datetime import UTC, datetime

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.limit_usage import headroom
from pipeline.accounts.snapshot import Snapshot, read_snapshot
from pipeline.accounts.switches import Switches, SwitchStatus
from pipeline.entrypoints.web.api.answers import ExecutorStatus, TradingStatus
from pipeline.entrypoints.web.api.context import WebContext
from pipeline.model.switches import SwitchKind
from pipeline.store.query import fetch_maybe
from pipeline.store.record import Record
from pipeline.store.statements import sql
from pipeline.views.account_schemas import AccountState, AccountView, HeadroomView, SwitchView
from pipeline.views.count_schemas import OpenCounts
from pipeline.views.counts import nothing_open, open_counts
from pipeline.views.flatten_progress import progress

#: The status of an executor that has a worker and that no switch stops.
TRADING = "trading"
#: The status of an executor that no switch stops, but that has no worker.
NO_WORKER = "no_worker"
_FIGURES = ("currency", "equity", "last_equity", "cash", "buying_power", "blocked")


def account_states(context: WebContext) -> dict[str, AccountState]:
    """Return each executor's account as last read, with what is used of its limits."""
    rooms = [HeadroomView.model_validate(room) for room in headroom(context.record, context.executors)]
    return {
        executor.id: AccountState(
            **dict(_account(context.record, executor)),
            limits=[room for room in rooms if room.executor_id == executor.id],
        )
        for executor in context.executors.values()
    }


def trading_status(context: WebContext) -> TradingStatus:
    """Return whether each executor trades, and whether all do."""
    counts = open_counts(context.record)
    each = [
        _status(context.record, executor, counts.get(executor.id, nothing_open()))
        for executor in context.executors.values()
    ]
    trading = sum(one.status == TRADING for one in each)
    status = TRADING if trading == len(each) else "partly" if trading else "stopped"
    return TradingStatus(timestamp=datetime.now(UTC), status=status, executors=each)


def _status(record: Record, executor: ExecutorSettings, counts: OpenCounts) -> ExecutorStatus:
    status = Switches(record).active_switches(executor.id)
    account = _account(record, executor)
    flattens = any(switch.flatten for switch in status.switches)
    return ExecutorStatus(
        executor_id=executor.id,
        mode=executor.mode,
        live=executor.mode == "live",
        status=_word(status, counts.workers),
        account=account,
        positions_count=account.positions_count,
        **dict(counts),
        switches=[SwitchView.of(switch) for switch in status.switches],
        flattening=progress(record, executor.id) if flattens else None,
    )


def _word(status: SwitchStatus, workers: int) -> str:
    kinds = {switch.kind for switch in status.switches}
    hardest = next((kind.value for kind in reversed(SwitchKind) if kind in kinds), None)
    return hardest or (TRADING if workers else NO_WORKER)


def _account(record: Record, executor: ExecutorSettings) -> AccountView:
    snapshot, refused = record.run(lambda connection: _last_read(connection, executor.id))
    account = None if snapshot is None else snapshot.account
    return AccountView.model_validate(
        {
            "executor_id": executor.id,
            "mode": executor.mode,
            "account_number": executor.account if account is None else account.number,
            **{name: getattr(account, name, None) for name in _FIGURES},
            "refused": refused,
            "positions_count": None if snapshot is None else len(snapshot.positions),
            "positions": None if snapshot is None else snapshot.positions,
            "timestamp": None if snapshot is None else snapshot.taken_at,
        }
    )


def _last_read(connection: Connection[DictRow], executor_id: str) -> tuple[Snapshot | None, str | None]:
    key = {"executor_id": executor_id}
    return read_snapshot(connection, executor_id), fetch_maybe(connection, str, sql("accounts", "refusal_message"), key)
