"""Find the accounts that differ from the record."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.findings import Finding, open_findings
from pipeline.model.findings import FindingKind
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, Severity, found, raised
from pipeline.store.query import fetch_all
from pipeline.store.statements import sql

# A person who trades the account by hand causes these. The others mean that the record is wrong about our own orders.
_BY_HAND = frozenset({FindingKind.FOREIGN_ORDER, FindingKind.FOREIGN_POSITION})


@dataclass(frozen=True, kw_only=True)
class _WaitingEntries:
    executor_id: str
    entries: int


def findings(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the open findings."""
    return found(AlertKind.FINDING, map(_raised, open_findings(connection, executors)))


def waiting_entries(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the accounts whose entries have waited for a comparison with the record for over 5 minutes."""
    values = {"executor_ids": list(executors)}
    alerts = [
        raised(
            AlertKind.NOT_RECONCILED,
            each.executor_id,
            f"{each.executor_id} cannot be compared with the record, and {each.entries} of its entries wait for that",
            executor=each.executor_id,
        )
        for each in fetch_all(connection, _WaitingEntries, sql("alerts", "not_reconciled"), values)
    ]
    return found(AlertKind.NOT_RECONCILED, alerts)


def severity(finding: Finding) -> Severity:
    """Return how soon a person should look at *finding*."""
    return Severity.WARNING if finding.kind in _BY_HAND else Severity.CRITICAL


def _raised(finding: Finding) -> Raised:
    return raised(
        AlertKind.FINDING,
        str(finding.finding_id),
        f"{finding.executor_id} differs from the record, and entries of the symbol wait: {finding}"[:300],
        severity(finding),
        executor=finding.executor_id,
        symbol=finding.symbol,
        finding=finding.kind,
        finding_id=finding.finding_id,
    )
