"""List what differs between the accounts and the record, and when each account was last compared."""

from collections.abc import Iterable
from typing import Annotated, Any

from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import Field

from pipeline.accounts.findings import (
    Finding,
    LastReconcile,
    ended_findings,
    last_reconciles,
    open_findings,
    suspected_findings,
)
from pipeline.model.findings import FindingKind, FindingState
from pipeline.model.json_model import Id, JsonModel, Time
from pipeline.store.record import Record


class ComparedExecutor(JsonModel):
    """When an executor's account was last compared with the record."""

    executor_id: Annotated[str, Field(examples=["argo"])]
    clean: Annotated[bool, Field(description="Whether it was compared, and no finding is open or suspected.")]
    at: Annotated[Time | None, Field(description="The last completed reconcile; null before the first.")]


class FindingView(JsonModel):
    """A difference between the record and an account at its broker."""

    finding_id: Id
    executor_id: Annotated[str, Field(examples=["argo"])]
    kind: FindingKind
    symbol: Annotated[str, Field(examples=["AAPL"])]
    state: Annotated[
        FindingState, Field(description="`open`, or `suspected` if seen once; `healed` or `adopted` in the last hour.")
    ]
    facts: Annotated[dict[str, Any], Field(examples=[{"broker": "15", "record": "10", "difference": "5"}])]
    remedy: str


class FindingsView(JsonModel):
    """The executors, and the findings of their accounts: open, suspected, and those that ended in the last hour."""

    executors: list[ComparedExecutor]
    findings: list[FindingView]


def findings(record: Record, executor_ids: Iterable[str]) -> FindingsView:
    """Return the findings of these executors, by executor, the open ones first.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    chosen = list(executor_ids)

    def unit(connection: Connection[DictRow]) -> tuple[dict[str, LastReconcile], list[Finding], list[Finding]]:
        return (
            last_reconciles(connection, chosen),
            [*open_findings(connection, chosen), *suspected_findings(connection, chosen)],
            ended_findings(connection, chosen),
        )

    last, present, ended = record.run(unit)
    troubled = {each.executor_id for each in present}
    return FindingsView(
        executors=[
            ComparedExecutor(
                executor_id=each,
                clean=each in last and each not in troubled,
                at=last[each].completed_at if each in last else None,
            )
            for each in chosen
        ],
        findings=[FindingView.model_validate(each) for each in (*present, *ended)],
    )
