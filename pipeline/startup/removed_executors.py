"""Find executors that were removed from the file while they had open work or positions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import Problem
from pipeline.model.states import State
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A position in an account, counted from the fills of our orders."""

    executor_id: str
    account_number: str
    symbol: str
    #: Below zero is short.
    quantity: Decimal

    def __str__(self) -> str:
        # PostgreSQL returns a sum with trailing zeros, up to the column's scale.
        return f"{self.quantity.normalize():f} {self.symbol} (account {self.account_number})"


@dataclass(frozen=True, kw_only=True)
class _OpenWork:
    executor_id: str
    state: State
    count: int


@dataclass(kw_only=True)
class RemovedExecutor:
    """An executor that is not in the file, with its open work and positions."""

    executor_id: str
    #: The number of executions that have not ended, by state; dead letters are included.
    work: dict[State, int] = field(default_factory=dict)
    #: Positions in accounts that no executor in the file trades.
    holdings: list[Holding] = field(default_factory=list)

    def __str__(self) -> str:
        parts = []
        if self.work:
            parts.append("executions: " + ", ".join(f"{count} {state}" for state, count in self.work.items()))
        if self.holdings:
            parts.append("positions: " + ", ".join(map(str, self.holdings)))
        return "; ".join(parts)

    @property
    def remedy(self) -> str:
        """Return how a person can resolve the problem."""
        forget = f"forget it: tradewire config forget {self.executor_id} --why TEXT --yes-forget {self.executor_id}"
        if not self.holdings:
            return f"put its table back, or {forget}"
        number = self.holdings[0].account_number  # One account is enough as an example.
        pin = f'pin its account to the executor that trades it now (account = "{number}")'
        return f"put its table back, or {pin}, or {forget}"

    def problem(self) -> Problem:
        """Return the problem that keeps a process from starting."""
        message = f"is no longer in the file, and left {self}; {self.remedy}"
        return Problem(key=f"executors.{self.executor_id}", message=message)


def removed_executors(
    connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]
) -> list[RemovedExecutor]:
    """Return the executors that are not in *executors*, but have open work or positions that were not forgotten."""
    values = known_accounts(executors)
    found: dict[str, RemovedExecutor] = {}
    for work in fetch_all(connection, _OpenWork, sql("removed_executors", "open_work"), values):
        _of(found, work.executor_id).work[work.state] = work.count
    for holding in fetch_all(connection, Holding, sql("removed_executors", "positions"), values):
        _of(found, holding.executor_id).holdings.append(holding)
    return list(found.values())


def _of(found: dict[str, RemovedExecutor], executor_id: str) -> RemovedExecutor:
    return found.setdefault(executor_id, RemovedExecutor(executor_id=executor_id))


def known_accounts(executors: Mapping[str, ExecutorSettings]) -> dict[str, Any]:
    """Return the ids and pinned account numbers of *executors*, as parameters of the statements."""
    numbers = [executor.account for executor in executors.values() if executor.account is not None]
    return {"executor_ids": list(executors), "account_numbers": numbers}
