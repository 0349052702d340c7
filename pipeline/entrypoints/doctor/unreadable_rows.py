"""Check whether an order or a position at a broker cannot be read."""

from collections.abc import Iterable, Iterator

from pipeline.accounts.unreadable_rows import unreadable_rows
from pipeline.entrypoints.doctor.findings import CheckResult, critical, ok
from pipeline.store.record import Record

_SHOWN = 5  # More would not fit into one line.


def check_unreadable_rows(record: Record, executor_ids: Iterable[str]) -> Iterator[CheckResult]:
    """Yield one finding per executor. Raises RecordUnavailable."""
    names = list(executor_ids)
    rows = record.run(lambda connection: unreadable_rows(connection, names))
    for name in names:
        found = [f"{row.kind} {row.row_id}" for row in rows if row.executor_id == name]
        if not found:
            yield ok(f"rows {name}", "every order and position could be read")
            continue
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield critical(
            f"rows {name}",
            f"cannot be read: {'; '.join(found[:_SHOWN])}{more}",
            cause="Another program or a person placed it in a form that tradewire does not know.",
            remedy="Cancel or close it at the broker. While a position cannot be read, entries are held.",
        )
