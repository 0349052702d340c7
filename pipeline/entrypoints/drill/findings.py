"""The findings of an audit."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class AuditVerdict(StrEnum):
    """The kind of a finding."""

    LOST = "lost"
    DOUBLED = "doubled"
    UNEXPLAINED = "unexplained"
    #: An exit that waited for too long. Only a drill with exits looks for it.
    LATE = "late"


@dataclass(frozen=True, kw_only=True)
class AuditFinding:
    """One fault, with the facts that are needed to trace it."""

    verdict: AuditVerdict
    what: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        facts = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.verdict}: {self.what} {facts}"

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON, with every value as text."""
        facts = {name: None if value is None else str(value) for name, value in self.facts.items()}
        return {"verdict": self.verdict, "what": self.what, **facts}


def lost(what: str, **facts: Any) -> AuditFinding:
    """Return the finding that something is missing."""
    return AuditFinding(verdict=AuditVerdict.LOST, what=what, facts=facts)


def doubled(what: str, **facts: Any) -> AuditFinding:
    """Return the finding that something happened twice."""
    return AuditFinding(verdict=AuditVerdict.DOUBLED, what=what, facts=facts)


def unexplained(what: str, **facts: Any) -> AuditFinding:
    """Return the finding that two ledgers differ without a reason."""
    return AuditFinding(verdict=AuditVerdict.UNEXPLAINED, what=what, facts=facts)


def late(what: str, **facts: Any) -> AuditFinding:
    """Return the finding that something took too long."""
    return AuditFinding(verdict=AuditVerdict.LATE, what=what, facts=facts)
