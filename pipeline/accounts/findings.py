"""Read the findings of an account, and when it was last compared with the record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.model.findings import FindingKind, FindingState
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

#: Findings that have ended are listed for this long.
LISTED_FOR: Final = timedelta(hours=1)
_ADOPT = "`tradewire reconcile --adopt`"
_SAYS: Mapping[FindingKind, str] = MappingProxyType(
    {
        FindingKind.UNKNOWN_ORDER: "an open order with an id of tradewire's that the record does not know",
        FindingKind.FOREIGN_ORDER: "an open order that tradewire did not place",
        FindingKind.ORDER_GONE: "the broker does not know an order that is open in the record",
        FindingKind.ORDER_ENDED: "an order had ended at the broker, and was still open in the record",
        FindingKind.FILLED_QUANTITY: "the broker reports less filled than the record has",
        FindingKind.FOREIGN_POSITION: "a position of which the record holds nothing",
        FindingKind.POSITION_QUANTITY: "the account holds another quantity than the record",
    }
)
_REMEDIES: Mapping[FindingKind, str] = MappingProxyType(
    {
        FindingKind.UNKNOWN_ORDER: f"Cancel it at the broker, or adopt it: {_ADOPT}. Another installation may trade.",
        FindingKind.FOREIGN_ORDER: f"Cancel it at the broker, let it end, or adopt it: {_ADOPT}.",
        FindingKind.ORDER_GONE: "Check the order at the broker. Within a minute it becomes a dead letter.",
        FindingKind.ORDER_ENDED: "Nothing to do: the record has adopted the broker's report.",
        FindingKind.FILLED_QUANTITY: "Check the order at the broker. If a fill is taken back, the record follows.",
        FindingKind.FOREIGN_POSITION: f"Close it at the broker, or adopt it: {_ADOPT}.",
        FindingKind.POSITION_QUANTITY: f"Restore the quantity or close it at the broker, or adopt it: {_ADOPT}.",
    }
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A difference between the record and an account at its broker."""

    finding_id: UUID
    account_number: str
    executor_id: str
    kind: FindingKind
    symbol: str
    order_id: str
    state: FindingState
    facts: dict[str, Any]
    first_seen: datetime
    last_seen: datetime
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str | None

    @property
    def remedy(self) -> str:
        """Return what a person can do about it."""
        match self.state:
            case FindingState.HEALED:
                return _REMEDIES[FindingKind.ORDER_ENDED] if self.kind is FindingKind.ORDER_ENDED else "Nothing to do."
            case FindingState.ADOPTED:
                return "Nothing to do: it was adopted."
            case FindingState.SUSPECTED:
                return "Wait: the next comparison shows within seconds whether it stays."
        return _REMEDIES[self.kind]

    def __str__(self) -> str:
        figures = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.symbol}: {_SAYS[self.kind]} ({figures})"


@dataclass(frozen=True, kw_only=True)
class LastReconcile:
    """The last completed reconcile of an executor's account."""

    executor_id: str
    completed_at: datetime
    ago: timedelta


def open_findings(connection: Connection[DictRow], executor_ids: Iterable[str]) -> list[Finding]:
    """Return the open findings of these executors."""
    return _in_state(connection, executor_ids, FindingState.OPEN)


def suspected_findings(connection: Connection[DictRow], executor_ids: Iterable[str]) -> list[Finding]:
    """Return the differences of these executors that were seen once. They hold entries too."""
    return _in_state(connection, executor_ids, FindingState.SUSPECTED)


def _in_state(connection: Connection[DictRow], executor_ids: Iterable[str], state: FindingState) -> list[Finding]:
    values = {"executor_ids": list(executor_ids), "finding_state": state}
    return fetch_all(connection, Finding, sql("reconcile", "in_state"), values)


def ended_findings(connection: Connection[DictRow], executor_ids: Iterable[str]) -> list[Finding]:
    """Return the findings of these executors that were healed or adopted in the last hour."""
    values = {"executor_ids": list(executor_ids), "within": LISTED_FOR}
    return fetch_all(connection, Finding, sql("reconcile", "closed_since"), values)


def last_reconciles(connection: Connection[DictRow], executor_ids: Iterable[str]) -> dict[str, LastReconcile]:
    """Return the last completed reconcile of each executor's present account; without one, the executor is left out."""
    rows = fetch_all(
        connection, LastReconcile, sql("reconcile", "last_completed"), {"executor_ids": list(executor_ids)}
    )
    return {row.executor_id: row for row in rows}
