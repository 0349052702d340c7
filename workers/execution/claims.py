"""Claim an execution by compare-and-set, or let it wait for an earlier one of its symbol."""

from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.signals import Action, Intent
from pipeline.store.query import Values, execute, fetch_all, fetch_maybe, fetch_one
from pipeline.store.rows import ClaimedExecution
from pipeline.store.statements import sql
from workers.rules.exits import closes_the_account

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Blocked:
    """An execution that could be claimed if there were no earlier one of its symbol."""

    executor_id: str
    symbol: str
    seq: int
    action: Action
    intent: Intent
    source: str
    strategy: str | None


def claim_execution(connection: Connection[DictRow], values: Values) -> ClaimedExecution | None:
    """Take an execution by compare-and-set; None when it may not be taken."""
    return fetch_maybe(connection, ClaimedExecution, sql("executions", "take"), values)


def claim_or_wait(
    connection: Connection[DictRow], values: Values, executor: ExecutorSettings
) -> tuple[ClaimedExecution | None, bool]:
    """Claim an execution, or mark it as waiting for an earlier one of its symbol. True: it was marked."""
    while True:
        claimed = claim_execution(connection, values)
        if claimed is not None:
            return claimed, False
        blocked = fetch_maybe(connection, _Blocked, sql("executions", "takeable"), values)
        if blocked is None:
            return None, False
        if _has_to_close(connection, blocked, executor):
            later = {**values, **asdict(blocked)}
            for superseded in fetch_all(connection, UUID, sql("executions", "supersede_other_side"), later):
                log.info("execution.superseded", execution_id=str(superseded), by=str(values["execution_id"]))
        # Without a mark the earlier one has been decided meanwhile, so claim again.
        if execute(connection, sql("executions", "wait_for_symbol"), values) > 0:
            return None, True


def _has_to_close(connection: Connection[DictRow], blocked: _Blocked, executor: ExecutorSettings) -> bool:
    """Return whether an execution is an exit that has something to close, by the record.

    Only such an exit ends earlier entries: a SELL without a position must not end another strategy's BUY. The broker
    is not read here. Where the record lags, the exit waits until the record shows the position.
    """
    if blocked.intent is Intent.OPEN:
        return False
    values = {
        "executor_id": blocked.executor_id,
        "symbol": blocked.symbol,
        "sign": 1 if blocked.action is Action.SELL else -1,
        "strategy": None if closes_the_account(executor, blocked.source) else blocked.strategy or "",
    }
    return fetch_one(connection, bool, sql("executions", "may_close"), values)
