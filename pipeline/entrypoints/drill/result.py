"""The result of a drill: figures, recovery times and findings. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.entrypoints.drill.exit_waits import ExitWait
from pipeline.entrypoints.drill.findings import AuditFinding, AuditVerdict
from pipeline.entrypoints.drill.ledgers import Ledgers
from pipeline.entrypoints.drill.recovery import Recovery, summary_of
from pipeline.model.states import State

#: How many of the longest recoveries and waits are listed.
SLOWEST = 5


@dataclass(frozen=True, kw_only=True)
class DrillResult:
    """The figures of one drill. Times are in seconds."""

    seed: int
    #: Signals that were sent.
    sent: int
    #: Signals that were recorded.
    accepted: int
    #: Executions that had to end: one per sent signal and executor, and those that tradewire added.
    executions: int
    #: Executions that tradewire added by itself, to close the rest of a position when an exit's order had ended.
    added: int
    orders: int
    #: How many executions ended without an order, by reason code.
    reasons: Mapping[str, int] = field(default_factory=dict)
    dead: int = 0
    findings: Sequence[AuditFinding] = ()
    #: The longest first.
    recoveries: Sequence[Recovery] = ()
    #: The longest first; only in a drill with exits.
    exit_waits: Sequence[ExitWait] = ()
    broken: Mapping[str, int] = field(default_factory=dict)
    fault_hits: Mapping[str, int] = field(default_factory=dict)
    took_s: float = 0.0
    #: The folder with the logs and the ledgers, when it was kept.
    kept: str | None = None

    @property
    def passed(self) -> bool:
        """Return whether nothing was lost, doubled, left unexplained or late."""
        return not self.findings

    def count(self, verdict: AuditVerdict) -> int:
        """Return the number of findings with this verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON. Of the recoveries and the waits of exits, it lists only the longest."""
        return {
            "system": "tradewire",
            "passed": self.passed,
            **{name: getattr(self, name) for name in ("seed", "sent", "accepted", "executions", "added", "orders")},
            "reasons": dict(self.reasons),
            "dead_letters": self.dead,
            **{verdict.value: self.count(verdict) for verdict in AuditVerdict},
            "recovery_s": summary_of(self.recoveries),
            "slowest": [recovery.to_json() for recovery in self.recoveries[:SLOWEST]],
            "exits": len(self.exit_waits),
            "longest_exit_waits": [wait.to_json() for wait in self.exit_waits[:SLOWEST]],
            "broken": dict(self.broken),
            "faults": dict(self.fault_hits),
            "took_s": round(self.took_s, 1),
            "findings": [finding.to_json() for finding in self.findings],
            "kept": self.kept,
        }


def result_of(ledgers: Ledgers, *, seed: int, findings: Sequence[AuditFinding]) -> DrillResult:
    """Return the figures that the ledgers give. The caller adds the times, and how often each part was broken."""
    with_order = ledgers.with_order
    codes = Counter(
        execution.reason_code
        for execution in ledgers.executions
        if execution.execution_id not in with_order and execution.reason_code is not None
    )
    sent = {signal.signal_id for signal in ledgers.signals if signal.source == ledgers.source}
    added = sum(execution.signal_id not in sent for execution in ledgers.executions)
    return DrillResult(
        seed=seed,
        sent=len(ledgers.sent),
        accepted=len(sent),
        executions=len(ledgers.sent) * len(ledgers.executors) + added,
        added=added,
        orders=sum(len(orders) for orders in ledgers.held.values()),
        reasons=dict(codes.most_common()),
        dead=sum(execution.state is State.DEAD for execution in ledgers.executions),
        findings=findings,
    )
