"""Find the accounts that differ from the record."""

from collections.abc import Mapping

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.findings import Finding, open_findings
from pipeline.model.findings import FindingKind
from pipeline.monitoring.alerts.kinds import AlertKind, ConditionResult, Raised, Severity, found, raised

# A person who trades the account by hand causes these. The others mean that the record is wrong about our own orders.
_BY_HAND = frozenset({FindingKind.FOREIGN_ORDER, FindingKind.FOREIGN_POSITION})


def findings(connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings]) -> ConditionResult:
    """Find the open findings."""
    return found(AlertKind.FINDING, map(_raised, open_findings(connection, executors)))


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
