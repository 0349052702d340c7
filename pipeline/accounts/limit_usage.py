"""Compute how much of each of its limits an account has used, and how much is left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.equity import equity_baseline
from pipeline.accounts.exposure import Book
from pipeline.accounts.losses import EquityBaseline, LimitStep, limit_step, uses
from pipeline.accounts.snapshot import Snapshot, read_snapshot
from pipeline.store.query import fetch_one
from pipeline.store.record import Record
from pipeline.store.statements import sql

_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")
#: The units of the limits that are counts.
_COUNTED = {"open_positions": "positions", "group_positions": "positions", "orders_per_day": "entries"}


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """One limit of one executor and its use: money in the account's currency, or a count."""

    executor_id: str
    account: str
    #: The account's currency.
    currency: str
    #: The key below `.limits`. A limit that applies to each group has the group's name after a dot.
    limit: str
    #: Below zero after a gain, for a loss limit.
    used: Decimal
    allowed: Decimal
    #: The step that a loss limit has reached; NONE for other limits.
    rung: LimitStep = LimitStep.NONE
    #: When the account was read.
    read_at: datetime
    #: The account's trading day; None before its equity was first recorded.
    day: date | None

    @property
    def unit(self) -> str:
        """Return the unit of the figures: the account's currency, positions or entries."""
        return _COUNTED.get(self.limit.partition(".")[0], self.currency)

    @property
    def used_part(self) -> Decimal:
        """Return the used part; 0 after a gain, which uses nothing of a loss limit."""
        return max(self.used, Decimal(0))

    @property
    def left(self) -> Decimal:
        """Return the unused part; 0 when the limit is reached."""
        return max(self.allowed - self.used, Decimal(0))

    @property
    def percent(self) -> Decimal:
        """Return the used share in percent, to a tenth; 0 after a gain."""
        if self.used <= 0:
            return Decimal(0)
        return (self.used * 100 / self.allowed if self.allowed else Decimal(100)).quantize(_TENTH)


class _Usage(NamedTuple):
    limit: str
    used: Decimal
    allowed: Decimal
    rung: LimitStep = LimitStep.NONE


def headroom(record: Record, executors: Mapping[str, ExecutorSettings]) -> list[Headroom]:
    """Return the use of the configured limits on losses, exposure, positions and orders per day, by executor.

    Accounts that have not been read yet are skipped. Positions of the last reading count; open orders do not.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: [row for each in executors.values() for row in _of(connection, each)])


def _of(connection: Connection[DictRow], executor: ExecutorSettings) -> list[Headroom]:
    snapshot = read_snapshot(connection, executor.id)
    if snapshot is None:
        return []
    baseline = equity_baseline(connection, snapshot.account.number)
    usages = list(_exposure(executor, snapshot))
    if baseline is not None:
        usages = [
            *_losses(executor, baseline),
            *usages,
            *_orders(connection, executor, snapshot.account.number, baseline),
        ]
    return [
        Headroom(
            executor_id=executor.id,
            account=snapshot.account.number,
            currency=snapshot.account.currency,
            limit=usage.limit,
            used=_cents(usage.used),
            allowed=_cents(usage.allowed),
            rung=usage.rung,
            read_at=snapshot.taken_at,
            day=None if baseline is None else baseline.day,
        )
        for usage in usages
    ]


def _losses(executor: ExecutorSettings, baseline: EquityBaseline) -> list[_Usage]:
    return [_Usage(f"{use.limit}_percent", use.lost, use.allowed, limit_step(use)) for use in uses(executor, baseline)]


def _orders(
    connection: Connection[DictRow], executor: ExecutorSettings, account_number: str, baseline: EquityBaseline
) -> list[_Usage]:
    allowed = executor.limits.orders_per_day
    if allowed is None:
        return []
    since = {"account_number": account_number, "since": baseline.day_started_at}
    ordered = fetch_one(connection, int, sql("equity_monitor", "ordered_since"), since)
    return [_Usage("orders_per_day", Decimal(ordered), Decimal(allowed))]


def _exposure(executor: ExecutorSettings, snapshot: Snapshot) -> Iterator[_Usage]:
    """Yield the positions' use of each exposure limit. For the limit per symbol, the largest position counts."""
    limits, equity, book = executor.limits, snapshot.account.equity, Book(positions=snapshot.positions)
    symbols = book.symbols()
    if limits.open_positions is not None:
        yield _Usage("open_positions", Decimal(len(symbols)), Decimal(limits.open_positions))
    if limits.gross_exposure_percent is not None:
        yield _Usage("gross_exposure_percent", book.gross(), equity * limits.gross_exposure_percent / 100)
    if limits.symbol_exposure_percent is not None:
        largest = max((book.gross([symbol]) for symbol in symbols), default=Decimal(0))
        yield _Usage("symbol_exposure_percent", largest, equity * limits.symbol_exposure_percent / 100)
    for name, members in executor.groups.items():
        if limits.group_positions is not None:
            held = Decimal(len(symbols & set(members)))
            yield _Usage(f"group_positions.{name}", held, Decimal(limits.group_positions))
        if limits.group_exposure_percent is not None:
            allowed = equity * limits.group_exposure_percent / 100
            yield _Usage(f"group_exposure_percent.{name}", book.gross(members), allowed)


def _cents(amount: Decimal) -> Decimal:
    """Round an amount to cents. A whole number, such as a count, stays as it is."""
    return amount if amount == amount.to_integral_value() else amount.quantize(_CENT)
