"""A person's correction of what an account's losses are counted from: its day's start and its peak."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from config.schema.executor import ExecutorSettings
from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.equity import baseline_of, baseline_row
from pipeline.model.errors import NotPossible
from pipeline.model.json_values import number_json
from pipeline.store.record import Record
from pipeline.store.statements import sql


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the losses of an account are counted from, in its currency."""

    executor_id: str
    account: str
    day: date
    equity: Decimal
    day_start_equity: Decimal
    day_start_balance: Decimal
    peak_equity: Decimal

    def to_json(self) -> dict[str, Any]:
        """Return it as `baseline --json` prints it."""
        return {
            "executor_id": self.executor_id,
            "account": self.account,
            "day": self.day.isoformat(),
            "equity": number_json(self.equity),
            "day_start_equity": number_json(self.day_start_equity),
            "day_start_balance": number_json(self.day_start_balance),
            "peak_equity": number_json(self.peak_equity),
        }


def read(record: Record, executor: ExecutorSettings) -> Baseline:
    """Return the figures in force.

    Raises:
        NotPossible: nobody has read the account yet.
        RecordUnavailable: PostgreSQL is away.
    """
    return record.run(lambda connection: _figures(connection, executor))


def correct(
    record: Record,
    executor: ExecutorSettings,
    *,
    day_start: Decimal | None,
    peak: Decimal | None,
    by: str,
    why: str,
) -> tuple[Baseline, Baseline]:
    """Put a person's figures in the place of ours, and return those before and after.

    *day_start* is the figure that the day's loss is counted from: the equity, or the balance where `.firm` says so.
    A *peak* below the equity rises to it with the next reading. Who and why are kept.

    Raises:
        NotPossible: nobody has read the account yet.
        RecordUnavailable: PostgreSQL is away.
    """

    def unit(connection: Connection[DictRow]) -> tuple[Baseline, Baseline]:
        before = _figures(connection, executor)
        told = {"holder": before.account, "by": by, "why": why}
        if day_start is not None:
            figure = f"day_start_{executor.firm.daily_loss_basis}"
            values: dict[str, Any] = {"holder": before.account, "start_equity": None, "start_balance": None}
            values[figure.removeprefix("day_")] = day_start
            connection.execute(sql("equity_monitor", "correct_day"), values)
            _tell(connection, told, figure, getattr(before, figure), day_start)
        if peak is not None:
            connection.execute(sql("equity_monitor", "correct_peak"), {"holder": before.account, "peak": peak})
            _tell(connection, told, "peak_equity", before.peak_equity, peak)
        return before, _figures(connection, executor)

    return record.run(unit)


def _tell(connection: Connection[DictRow], told: dict[str, str], figure: str, was: Decimal, became: Decimal) -> None:
    if was != became:
        values = told | {"figure": figure, "was": was, "became": became}
        connection.execute(sql("equity_monitor", "tell_correction"), values)


def _figures(connection: Connection[DictRow], executor: ExecutorSettings) -> Baseline:
    account = account_key_of(connection, executor.id)
    baseline = baseline_of(baseline_row(connection, account))
    if baseline is None:
        raise NotPossible(f"nobody has read the account of {executor.id} yet: start the keeper and look again")
    return Baseline(
        executor_id=executor.id,
        account=account,
        day=baseline.day,
        equity=baseline.equity,
        day_start_equity=baseline.day_start_equity,
        day_start_balance=baseline.day_start_balance,
        peak_equity=baseline.peak_equity,
    )
