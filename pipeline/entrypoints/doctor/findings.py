"""What a look at one part says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part: what was seen, and when it is not well, the likely cause and what mends it."""

    name: str
    status: Status
    saw: str
    cause: str | None = None
    remedy: str | None = None


def worst(findings: list[Finding]) -> Status:
    """Return the worst status of all."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)


def findings_json(findings: list[Finding]) -> dict[str, Any]:
    """Return the contract's shape."""
    return {"status": worst(findings).value, "checks": [asdict(finding) for finding in findings]}


def no_address(name: str, variable: str) -> Finding:
    """Say that nobody told where the part is."""
    return Finding(
        name=name,
        status=Status.CRITICAL,
        saw="no address is known",
        cause=f"{variable} is not set and no `tradewire up` runs on this home.",
        remedy=f"Run `tradewire up`, or set {variable}.",
    )
