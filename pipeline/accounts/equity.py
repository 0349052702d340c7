"""Read from the record an account's equity, and the figures from which its losses are counted."""

from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.accounts.losses import EquityBaseline
from pipeline.store.query import fetch_maybe
from pipeline.store.statements import sql


def equity_baseline(connection: Connection[DictRow], account_key: str) -> EquityBaseline | None:
    """Return the account's equity, day and peak; None before its first reading."""
    return fetch_maybe(connection, EquityBaseline, sql("pre_trade_check", "equity_baseline"), {"holder": account_key})
