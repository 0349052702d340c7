"""Claim an execution by compare-and-set, or let it wait for an earlier one of its symbol."""

from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.signals import Action, Intent
from pipeline.store.query import Values, execute, fetch_all, fetch_maybe
from pipeline.store.rows import ClaimedExecution
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Blocked:
    """An execution that could be claimed if there were no earlier one of its symbol."""

    executor_id: str
    symbol: str
    seq: int
    action: Action
    intent: Intent


def claim_execution(connection: Connection[DictRow], values: Values) -> ClaimedExecution | None:
    """Take an execution by compare-and-set; None when it may not be taken."""
    return fetch_maybe(connection, ClaimedExecution, sql("executions", "take"), values)


def claim_or_wait(
    connection: Connection[DictRow], values: Values, *, may_short: bool
) -> tuple[ClaimedExecution | None, bool]:
    """Claim an execution, or mark it as waiting for an earlier one of its symbol. True: it was marked."""
    while True:
        claimed = claim_execution(connection, values)
        if claimed is not None:
            return claimed, False
        blocked = fetch_maybe(connection, _Blocked, sql("executions", "takeable"), values)
        if blocked is None:
            return None, False
        if _surely_exits(blocked, may_short=may_short):
            later = {**values, **asdict(blocked)}
            for superseded in fetch_all(connection, UUID, sql("executions", "supersede_other_side"), later):
                log.info("execution.superseded", execution_id=str(superseded), by=str(values["execution_id"]))
        # Without a mark the earlier one has been decided meanwhile, so claim again.
        if execute(connection, sql("executions", "wait_for_symbol"), values) > 0:
            return None, True


def _surely_exits(blocked: _Blocked, *, may_short: bool) -> bool:
    """Return whether an execution can only close: by its intent, or as a sale where shorting is not allowed."""
    sells = blocked.action is Action.SELL and blocked.intent is not Intent.OPEN
    return blocked.intent is Intent.CLOSE or (sells and not may_short)
