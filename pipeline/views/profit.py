"""Sum up the profit of trades and of what is open, by account, strategy, symbol or day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from config.schema.sections import HoursSettings
from pipeline.accounts.books.settle import settle
from pipeline.model.trading_day import Day, day_start, trading_day
from pipeline.store.query import fetch_all
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from pipeline.views.book_numbers import known, trimmed
from pipeline.views.book_schemas import ProfitView


class By(StrEnum):
    """The groups by which the profit is summed up."""

    ACCOUNT = "account"
    STRATEGY = "strategy"
    SYMBOL = "symbol"
    DAY = "day"


@dataclass(frozen=True, kw_only=True)
class Profit:
    """The profit of an executor, or of one of its strategies, symbols or days."""

    executor_id: str
    mode: Mode
    key: str | None
    #: Of the trades whose profit is known; None if there are trades and none is known.
    realised: Decimal | None
    fees: Decimal = Decimal(0)
    trades: int = 0
    wins: int = 0
    #: Trades whose profit is not known.
    unknown: int = 0
    unrealised: Decimal | None = None

    def view(self) -> ProfitView:
        """Return it as programs read it."""
        figures = {"realised": known(self.realised), "unrealised": known(self.unrealised), "fees": trimmed(self.fees)}
        return ProfitView.model_validate(vars(self) | figures)


@dataclass(frozen=True, kw_only=True)
class _Realised:
    executor_id: str
    mode: Mode
    key: str | None
    realised: Decimal | None
    fees: Decimal
    trades: int
    wins: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class _Unrealised:
    executor_id: str
    mode: Mode
    key: str | None
    unrealised: Decimal | None


@dataclass(frozen=True, kw_only=True)
class _Span:
    executor_id: str
    first: datetime
    last: datetime


@dataclass(frozen=True, kw_only=True)
class _OfDay:
    mode: Mode
    day: int
    realised: Decimal | None
    fees: Decimal
    trades: int
    wins: int
    unknown: int


def profit(
    record: Record,
    executors: Mapping[str, ExecutorSettings],
    *,
    by: By = By.ACCOUNT,
    executor_id: str | None = None,
    since: datetime | None = None,
) -> list[Profit]:
    """Return the profit of the trades that were closed since a time, and of the lots that are open now.

    Days are those of the executor's `hours`; for a removed executor, the default ones. An open lot belongs to no day.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    settle(record)
    values = {"by": by.value, "executor_id": executor_id, "since": since}

    def unit(connection: Connection[DictRow]) -> list[Profit]:
        if by is By.DAY:
            return list(_by_day(connection, executors, values))
        realised = fetch_all(connection, _Realised, sql("books", "realised"), values, prepare=False)
        return _joined(realised, fetch_all(connection, _Unrealised, sql("books", "unrealised"), values, prepare=False))

    return sorted(record.run(unit), key=lambda each: (each.executor_id, each.mode, each.key or ""))


def _joined(realised: Sequence[_Realised], unrealised: Sequence[_Unrealised]) -> list[Profit]:
    found = {(each.executor_id, each.mode, each.key): Profit(**vars(each), unrealised=Decimal(0)) for each in realised}
    for each in unrealised:
        group = (each.executor_id, each.mode, each.key)
        empty = Profit(executor_id=each.executor_id, mode=each.mode, key=each.key, realised=Decimal(0))
        found[group] = replace(found.get(group, empty), unrealised=each.unrealised)
    return list(found.values())


def _by_day(
    connection: Connection[DictRow], executors: Mapping[str, ExecutorSettings], values: dict[str, Any]
) -> Iterator[Profit]:
    for span in fetch_all(connection, _Span, sql("books", "trading_span"), values, prepare=False):
        executor = executors.get(span.executor_id)
        days = _days(span, HoursSettings() if executor is None else executor.hours)
        of_executor = values | {"executor_id": span.executor_id, "starts": [day.started_at for day in days]}
        for row in fetch_all(connection, _OfDay, sql("books", "realised_by_day"), of_executor, prepare=False):
            figures = {name: value for name, value in vars(row).items() if name != "day"}
            yield Profit(executor_id=span.executor_id, key=days[row.day - 1].date.isoformat(), **figures)


def _days(span: _Span, hours: HoursSettings) -> list[Day]:
    """Return the days of the span, each with its beginning."""
    days = [trading_day(span.first, hours.time_zone, hours.day_starts_at)]
    while (following := _day_after(days[-1], hours)).started_at <= span.last:
        days.append(following)
    return days


def _day_after(day: Day, hours: HoursSettings) -> Day:
    zone = ZoneInfo(hours.time_zone)
    on = day.date + timedelta(days=1)
    return Day(date=on, started_at=day_start(on, zone, hours.day_starts_at))
