"""Say how much of each of its limits an account has used, and how much is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.equity import baseline_of, baseline_row
from pipeline.accounts.exposure import Book
from pipeline.accounts.losses import Rung, rung, uses
from pipeline.accounts.snapshot import Snapshot, snapshot_of
from pipeline.store.record import Record
from pipeline.store.statements import sql

_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """One limit of one executor; money in the account's currency, or a count."""

    executor_id: str
    account: str
    #: The key below `.limits`; with a group's name after a dot where it holds for each group.
    limit: str
    used: Decimal
    allowed: Decimal
    #: How far up the ladder a loss limit is; none for the others.
    rung: Rung = Rung.NONE
    #: When the account was read, and its day.
    read_at: datetime
    day: date | None

    @property
    def left(self) -> Decimal:
        """What may still be used; 0 when the limit is reached."""
        return max(self.allowed - self.used, Decimal(0))

    @property
    def percent(self) -> Decimal:
        """How much of it is used, in percent, to a tenth; 0 after a gain."""
        if self.used <= 0:
            return Decimal(0)
        return (self.used * 100 / self.allowed if self.allowed else Decimal(100)).quantize(_TENTH)


def headroom(record: Record, executors: Mapping[str, ExecutorSettings]) -> list[Headroom]:
    """Return every limit that is on and what is used of it, by executor; nothing of an account that nobody has read.

    What is held counts, by the last reading; what is on order does not.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: [row for each in executors.values() for row in _of(connection, each)])


def _of(connection: Connection[DictRow], executor: ExecutorSettings) -> Iterator[Headroom]:
    row = connection.execute(sql("accounts", "snapshot"), {"executor_id": executor.id}).fetchone()
    if row is None:
        return
    snapshot = snapshot_of(row)
    baseline = baseline_row(connection, snapshot.account.number)
    figures = baseline_of(baseline)
    whose: dict[str, Any] = {
        "executor_id": executor.id,
        "account": snapshot.account.number,
        "read_at": snapshot.taken_at,
        "day": None if figures is None else figures.day,
    }
    for use in uses(executor, figures) if figures is not None else ():
        yield Headroom(
            limit=f"{use.limit}_percent", used=_cents(use.lost), allowed=_cents(use.allowed), rung=rung(use), **whose
        )
    for limit, used, allowed in _held(executor, snapshot):
        yield Headroom(limit=limit, used=_cents(used), allowed=_cents(allowed), **whose)
    if executor.limits.orders_per_day is not None and baseline is not None:
        since = {"executor_id": executor.id, "since": baseline["started_at"]}
        ordered = connection.execute(sql("equity_monitor", "ordered_since"), since).fetchone()
        assert ordered is not None
        allowed = Decimal(executor.limits.orders_per_day)
        yield Headroom(limit="orders_per_day", used=Decimal(ordered["entries"]), allowed=allowed, **whose)


def _held(executor: ExecutorSettings, snapshot: Snapshot) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Yield a limit, what positions use of it and what is allowed; of the symbols the largest."""
    limits, equity, book = executor.limits, snapshot.account.equity, Book(positions=snapshot.positions)
    symbols = book.symbols()
    if limits.open_positions is not None:
        yield "open_positions", Decimal(len(symbols)), Decimal(limits.open_positions)
    if limits.gross_exposure_percent is not None:
        yield "gross_exposure_percent", book.gross(), equity * limits.gross_exposure_percent / 100
    if limits.symbol_exposure_percent is not None:
        largest = max((book.gross([symbol]) for symbol in symbols), default=Decimal(0))
        yield "symbol_exposure_percent", largest, equity * limits.symbol_exposure_percent / 100
    for name, members in executor.groups.items():
        if limits.group_positions is not None:
            yield f"group_positions.{name}", Decimal(len(symbols & set(members))), Decimal(limits.group_positions)
        if limits.group_exposure_percent is not None:
            yield f"group_exposure_percent.{name}", book.gross(members), equity * limits.group_exposure_percent / 100


def _cents(amount: Decimal) -> Decimal:
    return amount if amount == amount.to_integral_value() else amount.quantize(_CENT)
