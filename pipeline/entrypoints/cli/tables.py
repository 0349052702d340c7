"""Print tables of money for people: aligned columns, amounts with their currency, and lines of totals."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import typer

from pipeline.accounts.books.settle import failed_symbols
from pipeline.accounts.snapshot import Snapshot, read_snapshot
from pipeline.entrypoints.cli.output import echo
from pipeline.store.record import Record

#: The text for a figure that is not known.
UNKNOWN = "unknown"
Row = Sequence[str]
#: Sums of amounts, by what they are a total of.
Totals = dict[str, list[Decimal | None]]


def last_readings(record: Record, executor_ids: Iterable[str]) -> dict[str, Snapshot | None]:
    """Return each account as last read; None if it was never read."""
    return {each: record.run(partial(read_snapshot, executor_id=each)) for each in sorted({*executor_ids})}


def currencies(readings: Mapping[str, Snapshot | None]) -> dict[str, str]:
    """Return the currency of each account; empty if it was never read."""
    return {each: "" if reading is None else reading.account.currency for each, reading in readings.items()}


def age(reading: Snapshot) -> timedelta:
    """Return how long ago the account was read."""
    return datetime.now(UTC) - reading.taken_at


def money(amount: Decimal | None, currency: str) -> str:
    """Return *amount* rounded to cents, with its currency."""
    return UNKNOWN if amount is None else f"{amount:,.2f} {currency}".rstrip()


def sums(rows: Iterable[tuple[str, Sequence[Decimal | None]]]) -> Totals:
    """Add up the amounts of the rows, by the first field of each; a sum with an unknown amount is unknown."""
    totals: Totals = {}
    for group, amounts in rows:
        before = totals.get(group, [Decimal(0)] * len(amounts))
        totals[group] = [
            None if one is None or amount is None else one + amount for one, amount in zip(before, amounts, strict=True)
        ]
    return totals


def group_of(executor_id: str, modes: Mapping[str, str], units: Mapping[str, str]) -> str:
    """Return what an executor's amounts may be added up with: those of the same mode and currency."""
    return f"{modes.get(executor_id, executor_id)} {units.get(executor_id, '')}".rstrip()


def print_table(headings: Row, rows: Sequence[Row], *, left: int) -> None:
    """Print the rows under their headings: the first *left* columns aligned to the left, the others to the right."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        echo("  ".join(cells).rstrip())


def end_if_books_failed() -> None:
    """End the command with code 1, and say why, if the books of a symbol could not be computed for it."""
    if failed := failed_symbols():
        echo(
            f"the books of {', '.join(failed)} cannot be computed, so their trades and holdings are missing or old: "
            "the log of `tradewire keep` has the error (`books.failed`)",
            err=True,
        )
        raise typer.Exit(1)
