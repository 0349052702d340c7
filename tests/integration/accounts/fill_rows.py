"""Write fills straight into the record, as `tests.unit.accounts.books.fills` describes them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pipeline.accounts.books.lots import BookFill
from pipeline.accounts.books.settle import settle
from pipeline.accounts.books.trades import trades_of
from pipeline.store.record import Record
from tests.unit.accounts.books.fills import booked

_ORDER = """
WITH sent AS (
    INSERT INTO signal (signal_id, source, content_hash, symbol, asset_class, action, intent, by_person, strategy,
        stop_price, target_price)
    VALUES (%(signal_id)s, %(source)s, '', %(symbol)s, 'us_equity', %(action)s, 'auto', %(by_person)s, %(strategy)s,
        %(stop_price)s, %(target_price)s)
    ON CONFLICT DO NOTHING
), ran AS (
    INSERT INTO execution (execution_id, signal_id, executor_id, mode, symbol, action, state, moved_by, ended_at)
    VALUES (%(execution_id)s, %(signal_id)s, %(executor_id)s, %(mode)s, %(symbol)s, %(action)s, 'filled', 'test', now())
    ON CONFLICT DO NOTHING
)
INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side,
    quantity, reference_price, request, strategy, covers)
VALUES (%(execution_id)s, 1, %(executor_id)s, %(account)s, %(execution_id)s, %(role)s, %(symbol)s, %(side)s,
    %(ordered)s, 1, '{}', %(strategy)s, %(covers)s)
ON CONFLICT DO NOTHING
"""
_FILL = """
INSERT INTO fill (account_number, fill_id, execution_id, generation, executor_id, symbol, side, quantity, price,
    filled_at, source)
VALUES (%(account)s, %(fill_id)s, %(execution_id)s, 1, %(executor_id)s, %(symbol)s, %(side)s, %(quantity)s, %(price)s,
    %(filled_at)s, CASE WHEN %(price)s::numeric IS NULL THEN 'order' ELSE 'activity' END)
"""


class FillRows:
    """Fills of one account in the record."""

    def __init__(self, record: Record, database_url: str, *, account: str = "PA1") -> None:
        self.record = record
        self.account = account
        self.url = database_url

    def add(self, *fills: BookFill, symbol: str = "AAPL", **changes: Any) -> None:
        """Record the fills, each with its order if that is not there yet."""
        with psycopg.connect(self.url) as connection:
            for each in fills:
                terms = {"ordered": 10**9, "covers": None, "stop_price": None, "target_price": None}
                values = asdict(each) | terms | {"account": self.account, "symbol": symbol} | changes
                connection.execute(_ORDER, values)
                connection.execute(_FILL, values)

    def run(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def settle(self) -> int:
        return settle(self.record)

    def books(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the trades and the lots of the record, without the account and symbol."""
        trades = self.run("SELECT * FROM trade ORDER BY trade_id")
        lots = self.run("SELECT * FROM lot ORDER BY fill_id")
        return [_own(row) for row in trades], [_own(row) for row in lots]


def _own(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"account_number", "symbol"}}


def expected(fills: list[BookFill]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the books that the pure functions compute from all *fills* at once."""
    matches, book = booked(sorted(fills, key=lambda each: (each.filled_at, each.role.value, each.fill_id)))
    trades = sorted((asdict(each) for each in trades_of(matches)), key=lambda each: str(each["trade_id"]))
    lots = [
        {
            "fill_id": lot.fill.fill_id,
            "executor_id": lot.fill.executor_id,
            "mode": lot.fill.mode,
            "strategy": lot.fill.strategy,
            "execution_id": lot.fill.execution_id,
            "quantity": lot.quantity,
            "price": lot.fill.price,
            "opened_at": lot.fill.filled_at,
            "held_since": book.held_since(lot.fill.strategy),
        }
        for lot in book.lots()
    ]
    return trades, sorted(lots, key=lambda each: str(each["fill_id"]))
