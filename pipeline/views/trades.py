"""Page through the closed trades, newest first."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pipeline.accounts.books.settle import settle
from pipeline.store.record import Record
from pipeline.store.rows import Mode
from pipeline.store.statements import sql
from pipeline.views.book_numbers import average, known, trimmed
from pipeline.views.book_schemas import TradeView
from pipeline.views.paging import below, place, rows_of
from pipeline.views.schemas import Page


@dataclass(frozen=True, kw_only=True)
class TradeRow:
    """A closed trade as the record has it."""

    trade_id: UUID
    executor_id: str
    mode: Mode
    symbol: str
    strategy: str
    signal_id: UUID | None
    opened_at: datetime | None
    closed_at: datetime
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    fees: Decimal
    realised: Decimal | None
    exit_reason: str

    def view(self) -> TradeView:
        """Return it as programs read it."""
        figures = {
            "strategy": self.strategy or None,
            "quantity": trimmed(self.quantity),
            "entry_price": average(self.entry_price),
            "exit_price": average(self.exit_price),
            "fees": trimmed(self.fees),
            "realised": known(self.realised),
        }
        return TradeView.model_validate(vars(self) | figures)


def trades(
    record: Record,
    *,
    executor_id: str | None = None,
    symbol: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[TradeView]:
    """Return trades, newest first.

    Raises:
        RecordUnavailable: PostgreSQL is away.
        BadCursor: this list did not return the cursor.
    """
    settle(record)
    key = {"executor_id": executor_id, "symbol": symbol, "since": since, "limit": limit + 1}
    rows = rows_of(record, TradeRow, sql("books", "trades"), key | below(cursor, UUID))
    return Page(
        items=[row.view() for row in rows[:limit]],
        **place(rows, limit, at=lambda row: (row.closed_at, row.trade_id)),
    )
