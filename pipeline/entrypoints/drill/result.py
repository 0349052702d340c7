"""What a drill came to: figures, recovery times and findings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.entrypoints.drill.audit import AuditFinding, AuditVerdict, Ledgers
from pipeline.entrypoints.drill.recovery import Recovery, figures

#: So many of the longest recoveries are named.
SLOWEST = 5


@dataclass(frozen=True, kw_only=True)
class Result:
    """The figures of one drill. Times are in seconds."""

    seed: int
    #: Signals sent, and of those recorded.
    sent: int
    accepted: int
    #: What should end: one per signal and executor.
    owed: int
    orders: int
    #: How many ended in a reason instead, by its code.
    reasons: Mapping[str, int] = field(default_factory=dict)
    dead: int = 0
    findings: Sequence[AuditFinding] = ()
    #: The longest first.
    recoveries: Sequence[Recovery] = ()
    broken: Mapping[str, int] = field(default_factory=dict)
    strikes: Mapping[str, int] = field(default_factory=dict)
    took_s: float = 0.0
    #: Where the logs and the ledgers are, when they were kept.
    kept: str | None = None

    @property
    def passed(self) -> bool:
        """Say whether nothing was lost, doubled or left unexplained."""
        return not self.findings

    def count(self, verdict: AuditVerdict) -> int:
        """Return how many findings there are of a kind."""
        return sum(finding.verdict is verdict for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return everything as one object; times that never came are null."""
        return {
            "system": "tradewire",
            "seed": self.seed,
            "passed": self.passed,
            "sent": self.sent,
            "accepted": self.accepted,
            "executions": self.owed,
            "orders": self.orders,
            "reasons": dict(self.reasons),
            "dead_letters": self.dead,
            **{verdict.value: self.count(verdict) for verdict in AuditVerdict},
            "recovery_s": figures(self.recoveries),
            "slowest": [recovery.to_json() for recovery in self.recoveries[:SLOWEST]],
            "broken": dict(self.broken),
            "faults": dict(self.strikes),
            "took_s": round(self.took_s, 1),
            "findings": [finding.to_json() for finding in self.findings],
            "kept": self.kept,
        }


def reasons_of(ledgers: Ledgers) -> dict[str, int]:
    """Count the executions that ended without an order, by their reason."""
    ordered = {row["execution_id"] for row in ledgers.orders if row["order_id"] is not None}
    codes = Counter(
        str(row["reason_code"])
        for row in ledgers.executions
        if row["execution_id"] not in ordered and row["reason_code"] is not None
    )
    return dict(codes.most_common())
