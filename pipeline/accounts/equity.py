"""Read the equity, the day and the peak of a broker account from the record."""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.losses import EquityBaseline
from pipeline.store.statements import sql


def baseline_row(connection: Connection[DictRow], account_key: str) -> DictRow | None:
    """Return the row of the account's day and peak."""
    return connection.execute(sql("pre_trade_check", "equity_baseline"), {"holder": account_key}).fetchone()


def baseline_of(row: DictRow | None) -> EquityBaseline | None:
    """Return the account's day and peak as a value; None before the first reading."""
    if row is None:
        return None
    return EquityBaseline(
        equity=row["equity"],
        balance=row["balance"],
        day=row["day"],
        day_start_equity=row["start_equity"],
        day_start_balance=row["start_balance"],
        peak_equity=row["peak_equity"],
        best_day_profit=row["best_day_profit"],
        earned=row["earned"],
        read_at=row["read_at"],
    )
