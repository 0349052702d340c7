"""Check that every journal of `flatten --direct` could be imported whole."""

from pathlib import Path

from pipeline.entrypoints.doctor.findings import CheckResult, critical
from workers.flatten.journal import damaged_journals


def check_journals(home: Path) -> list[CheckResult]:
    """Return one finding if there are damaged journals."""
    damaged = damaged_journals(home)
    if not damaged:
        return []
    return [
        critical(
            "journals",
            f"damaged: {', '.join(map(str, damaged))}",
            cause="Orders of `tradewire flatten --direct`, or its halt, may be missing in the record.",
            remedy="Compare the account's orders at the broker with the file, halt the account if it must stay so, "
            "and delete the file.",
        )
    ]
