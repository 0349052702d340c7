"""Claim an execution by compare-and-set, or let it wait for an earlier one of its symbol."""

from dataclasses import asdict, dataclass
from typing import Protocol
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Action, Intent
from pipeline.model.sources import PROTECT
from pipeline.store.query import Values, execute, fetch_all, fetch_maybe, fetch_one
from pipeline.store.rows import ClaimedExecution
from pipeline.store.statements import sql
from workers.rules.exits import closes_the_account, may_enter
from workers.rules.orders import EITHER_SIDE, side_of

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
    #: Whether an exit names no quantity and no percentage below 100, and is no limit close by hand.
    is_whole: bool
    #: Whether it is a person's limit close, which may rest for hours.
    is_limit_close: bool


def claim_execution(connection: Connection[DictRow], values: Values) -> ClaimedExecution | None:
    """Claim an execution by compare-and-set; return None when it may not be claimed."""
    return fetch_maybe(connection, ClaimedExecution, sql("executions", "claim"), values)


def claim_or_wait(
    connection: Connection[DictRow], values: Values, executor: ExecutorSettings
) -> tuple[ClaimedExecution | None, bool]:
    """Claim an execution, or mark it as waiting for an earlier one of its symbol; the bool is True if it was marked.

    An exit that cannot be claimed yet first ends the earlier executions that it makes needless (`superseded`).
    """
    while True:
        claimed = claim_execution(connection, values)
        if claimed is not None:
            return claimed, False
        blocked = fetch_maybe(connection, _Blocked, sql("executions", "claimable"), values)
        if blocked is None:
            return None, False
        if blocked.source == PROTECT:
            # A stop order ends no other execution.
            return None, execute(connection, sql("executions", "wait_for_symbol"), values) > 0
        has_more = has_to_close(connection, executor, blocked)
        ends_own = blocked.is_whole and blocked.action is not Action.REVERSE and not may_enter(blocked, executor)
        if has_more or ends_own or blocked.action is Action.FLAT:
            ends = {"has_to_close": has_more, "ends_own": ends_own, "closes_of": _closes_of(executor, blocked)}
            blocked_values = {**values, **asdict(blocked), **ends}
            superseded = fetch_all(connection, UUID, sql("executions", "supersede_other_side"), blocked_values)
            if has_more:
                superseded += fetch_all(connection, UUID, sql("executions", "supersede_limit_close"), blocked_values)
            for each in superseded:
                log.info("execution.superseded", execution_id=str(each), by=str(values["execution_id"]))
        # If nothing was marked, the earlier execution has been decided meanwhile, so claim again.
        if execute(connection, sql("executions", "wait_for_symbol"), values) > 0:
            return None, True


class _Closing(Protocol):
    """The fields of an execution or its signal that decide which position it would close."""

    @property
    def symbol(self) -> str:
        """In canonical form."""

    @property
    def action(self) -> Action:
        """BUY or SELL, or an action whose side depends on the position."""

    @property
    def intent(self) -> Intent:
        """Open, close, or auto."""

    @property
    def source(self) -> str:
        """The sender."""

    @property
    def strategy(self) -> str | None:
        """The strategy's name."""


def has_to_close(connection: Connection[DictRow], executor: ExecutorSettings, exit_: _Closing) -> bool:
    """Return whether an exit has something to close, according to the record.

    A SELL with nothing to close must not end or cancel another strategy's BUY. The broker is not read here: if the
    record lags behind it, the exit waits behind earlier entries until the record shows the position.
    """
    if exit_.intent is Intent.OPEN:
        return False
    closed_by = OrderSide if exit_.action in EITHER_SIDE else (side_of(exit_.action),)
    values = {
        "executor_id": executor.id,
        "symbol": exit_.symbol,
        "signs": [1 if side is OrderSide.SELL else -1 for side in closed_by],
        "opened_by": ["buy" if side is OrderSide.SELL else "sell" for side in closed_by],
        "strategy": _closes_of(executor, exit_),
    }
    return fetch_one(connection, bool, sql("executions", "has_to_close"), values)


def _closes_of(executor: ExecutorSettings, exit_: _Closing) -> str | None:
    """Return the strategy whose part of the position an exit closes; None: it closes the whole position."""
    return None if closes_the_account(executor, exit_.source) else exit_.strategy or ""
