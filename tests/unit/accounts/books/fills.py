"""Build fills as one line of text each, for tests of the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from pipeline.accounts.books.lots import BookFill, ClosedPart, SymbolBook
from pipeline.accounts.books.trades import Trade, trades_of
from pipeline.model.orders import OrderSide
from pipeline.model.signals import Action
from pipeline.store.rows import Mode, Role

START = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)


def named(text: str) -> UUID:
    return uuid5(NAMESPACE_OID, text)


def fill(number: int, line: str, **changes: Any) -> BookFill:
    """Return the fill that *line* describes: `execution strategy entry|exit buy|sell quantity price|?`."""
    execution, strategy, role, side, quantity, price = line.split()
    values: dict[str, Any] = {
        "fill_id": f"{number:04}",
        "execution_id": named(execution),
        "signal_id": named(f"signal {execution}"),
        "executor_id": "argo",
        "mode": Mode.EXCHANGE,
        "role": Role(role),
        "strategy": strategy.strip("-"),
        "side": OrderSide(side),
        "quantity": Decimal(quantity),
        "price": None if price == "?" else Decimal(price),
        "filled_at": START + timedelta(minutes=number),
        "closes": Decimal(quantity),
        "source": "desk",
        "action": Action.SELL,
        "by_person": False,
        "by_limit": False,
    }
    return BookFill(**values | changes)


def booked(fills: Sequence[BookFill]) -> tuple[list[ClosedPart], SymbolBook]:
    book = SymbolBook()
    return [match for each in fills for match in book.add(each)], book


def traded(*lines: str) -> list[Trade]:
    return trades_of(booked([fill(number, line) for number, line in enumerate(lines)])[0])


def open_lots(book: SymbolBook) -> list[tuple[str, Decimal, Decimal | None]]:
    return [(lot.fill.strategy, lot.quantity, lot.fill.price) for lot in book.lots()]
