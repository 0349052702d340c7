"""Correct, on a person's request, the day start and the peak from which an account's losses are counted."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.equity import equity_baseline
from pipeline.model.errors import NotPossible
from pipeline.model.json_values import object_json
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """An account's equity, and the day's start and the peak from which its losses are counted, in its currency."""

    executor_id: str
    account: str
    day: date
    equity: Decimal
    day_start_equity: Decimal
    day_start_balance: Decimal
    peak_equity: Decimal

    def to_json(self) -> dict[str, Any]:
        """Return the shape that `baseline --json` prints."""
        return object_json(vars(self)) | {"day": self.day.isoformat()}


def read(record: Record, executor: ExecutorSettings) -> Baseline:
    """Return the recorded figures.

    Raises:
        NotPossible: the account has not been read yet.
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: _figures(connection, executor))


def correct(
    record: Record, executor: ExecutorSettings, *, day_start: Decimal | None, peak: Decimal | None, by: str, why: str
) -> tuple[Baseline, Baseline]:
    """Replace recorded figures by those of a person, and return the figures before and after.

    *day_start* replaces the figure from which the daily loss is counted: the equity, or the balance if
    `firm.daily_loss_basis` is `balance`. The next reading raises a *peak* below the equity to the equity. *by* and
    *why* are recorded.

    Raises:
        NotPossible: the account has not been read yet.
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> tuple[Baseline, Baseline]:
        before = _figures(connection, executor)
        correction = {"holder": before.account, "by": by, "why": why}
        if day_start is not None:
            figure = f"day_start_{executor.firm.daily_loss_basis}"
            values: dict[str, Any] = {"holder": before.account, "start_equity": None, "start_balance": None}
            values[figure.removeprefix("day_")] = day_start
            execute(connection, sql("equity_monitor", "correct_day"), values)
            _record_correction(connection, correction, figure, getattr(before, figure), day_start)
        if peak is not None:
            execute(connection, sql("equity_monitor", "correct_peak"), {"holder": before.account, "peak": peak})
            _record_correction(connection, correction, "peak_equity", before.peak_equity, peak)
        return before, _figures(connection, executor)

    return record.run(unit)


def _record_correction(
    connection: Connection[DictRow], correction: dict[str, str], figure: str, was: Decimal, became: Decimal
) -> None:
    if was != became:
        values = correction | {"figure": figure, "was": was, "became": became}
        execute(connection, sql("equity_monitor", "record_correction"), values)


def _figures(connection: Connection[DictRow], executor: ExecutorSettings) -> Baseline:
    account = account_key_of(connection, executor.id)
    baseline = equity_baseline(connection, account)
    if baseline is None:
        raise NotPossible(f"the account of {executor.id} has not been read yet: start the keeper and try again")
    return Baseline(
        executor_id=executor.id,
        account=account,
        day=baseline.day,
        equity=baseline.equity,
        day_start_equity=baseline.day_start_equity,
        day_start_balance=baseline.day_start_balance,
        peak_equity=baseline.peak_equity,
    )
