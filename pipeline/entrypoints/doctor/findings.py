"""The finding on one part of the system."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class CheckStatus(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The finding on one part: what was seen, and if something is wrong, the likely cause and the remedy."""

    name: str
    status: CheckStatus
    saw: str
    cause: str | None = None
    remedy: str | None = None


def ok(name: str, saw: str) -> CheckResult:
    """Return the finding on a part that is well."""
    return CheckResult(name=name, status=CheckStatus.OK, saw=saw)


def warning(name: str, saw: str, *, cause: str, remedy: str) -> CheckResult:
    """Return the finding on a part that a person should look at."""
    return CheckResult(name=name, status=CheckStatus.WARNING, saw=saw, cause=cause, remedy=remedy)


def critical(name: str, saw: str, *, cause: str, remedy: str) -> CheckResult:
    """Return the finding on a part that keeps the system from working."""
    return CheckResult(name=name, status=CheckStatus.CRITICAL, saw=saw, cause=cause, remedy=remedy)


def worst(findings: list[CheckResult]) -> CheckStatus:
    """Return the worst status of all."""
    order = list(CheckStatus)  # The enum lists them from good to bad.
    return max((finding.status for finding in findings), key=order.index, default=CheckStatus.OK)


def findings_json(findings: list[CheckResult]) -> dict[str, Any]:
    """Return the findings as `doctor --json` prints them."""
    return {"status": worst(findings).value, "checks": [asdict(finding) for finding in findings]}


def no_address(name: str, variable: str) -> CheckResult:
    """Return the finding on a server whose address is not known."""
    return critical(
        name,
        "no address is known",
        cause=f"{variable} is not set and no `tradewire up` runs on this home.",
        remedy=f"Run `tradewire up`, or set {variable}.",
    )
