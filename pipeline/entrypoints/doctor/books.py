"""Check whether the books of every symbol are computed."""

from dataclasses import dataclass
from datetime import timedelta

from pipeline.entrypoints.doctor.findings import CheckResult, ok, warning
from pipeline.store.record import Record
from pipeline.store.statements import sql

# The keeper computes them every second, so the books of a fill that is older than this should be there.
_LATE = timedelta(seconds=60)
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class _Late:
    account_number: str
    symbol: str


def check_books(record: Record) -> CheckResult:
    """Name the symbols with fills from more than 60 s ago that are not in the books. Raises RecordUnavailable."""
    late = record.all(_Late, sql("doctor", "late_books"), {"older_than": _LATE})
    if not late:
        return ok("books", "the trades and holdings of every symbol are computed")
    more = f"; and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
    named = "; ".join(f"{each.symbol} ({each.account_number})" for each in late[:_SHOWN])
    return warning(
        "books",
        f"not computed after a fill: {named}{more}",
        cause="The computation fails, or no keeper runs: trades, profits and holdings are missing or old.",
        remedy="See the keeper's log (`books.failed`).",
    )
