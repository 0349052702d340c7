"""Find executors that left the file with open work or positions: nobody would look after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.model.errors import Problem
from pipeline.model.states import State
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class Holding:
    """What an account holds of a symbol, as far as our orders filled it."""

    account_number: str
    symbol: str
    #: Below zero is short.
    quantity: Decimal

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} {self.symbol} (account {self.account_number})"


@dataclass(kw_only=True)
class Gone:
    """An executor that is not in the file, and what it left."""

    executor_id: str
    #: Executions that are not over, by state; dead letters too.
    work: dict[State, int] = field(default_factory=dict)
    #: Only those in accounts that no executor of the file trades.
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
        """Return what a person can do."""
        let_go = f"let it go: tradewire config forget {self.executor_id} --why TEXT --yes-forget {self.executor_id}"
        if not self.holdings:
            return f"put its table back, or {let_go}"
        number = self.holdings[0].account_number
        pin = f'pin its account to the executor that trades it now (account = "{number}")'
        return f"put its table back, or {pin}, or {let_go}"

    def problem(self) -> Problem:
        """Return it as what keeps a process from starting."""
        return Problem(key=f"executors.{self.executor_id}", message=f"is gone, and left {self}; {self.remedy}")


def gone_executors(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> list[Gone]:
    """Return the executors that are not among *executors* and left something that no person's word covers."""
    key = known_accounts(executors)
    found: dict[str, Gone] = {}
    for row in connection.execute(sql("removed_executors", "open_work"), key).fetchall():
        left = found.setdefault(row["executor_id"], Gone(executor_id=row["executor_id"]))
        left.work[State(row["state"])] = row["count"]
    for row in connection.execute(sql("removed_executors", "positions"), key).fetchall():
        left = found.setdefault(row["executor_id"], Gone(executor_id=row["executor_id"]))
        left.holdings.append(
            Holding(account_number=row["account_number"], symbol=row["symbol"], quantity=row["quantity"])
        )
    return list(found.values())


def known_accounts(executors: Mapping[str, ExecutorSettings]) -> dict[str, Any]:
    """Return the ids and pinned account numbers of *executors*, as the statements ask for them."""
    numbers = [executor.account for executor in executors.values() if executor.account is not None]
    return {"executor_ids": list(executors), "account_numbers": numbers}
