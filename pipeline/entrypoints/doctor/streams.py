"""Check whether the accounts' trade-update streams are open, by what the tracker records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from pipeline.entrypoints.doctor.findings import CheckResult, ok, warning
from pipeline.store.processes import living_processes
from pipeline.store.record import Record
from pipeline.store.statements import sql

# The broker answers a ping of the tracker about every 5 s.
_SILENT = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class _Stream:
    executor_id: str
    is_open: bool | None
    problem: str | None
    #: How long the state lasts.
    lasts: timedelta
    #: The time since the broker last sent something; None: it never did.
    silent: timedelta | None


def check_streams(record: Record, executor_ids: Iterable[str]) -> Iterator[CheckResult]:
    """Yield one finding per stream while a tracker runs. Raises RecordUnavailable."""
    if not any(process.kind == "tracker" for process in record.run(living_processes)):
        return  # That is a finding of its own.
    values = {"executor_ids": list(executor_ids), "silent": _SILENT}
    for stream in record.all(_Stream, sql("streams", "states"), values):
        yield _finding(stream)


def _finding(stream: _Stream) -> CheckResult:
    name, lasts_s = f"stream {stream.executor_id}", stream.lasts.total_seconds()
    if stream.is_open and stream.silent is not None:
        return ok(name, f"open for {lasts_s:.0f} s, last message {max(stream.silent.total_seconds(), 0.0):.0f} s ago")
    problem = stream.problem or "the broker sent nothing"
    return warning(
        name,
        f"not open for {lasts_s:.0f} s: {problem}"[:300],
        cause="The broker cannot be reached or refuses; it admits one stream per account. Orders are polled every 2 s.",
        remedy="End other programs that use this account's stream, or correct the keys; see the tracker's log.",
    )
