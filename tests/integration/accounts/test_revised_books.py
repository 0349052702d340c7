"""A fill that the broker corrected after its position was closed keeps its place in the books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.accounts.books.lots import BookFill
from pipeline.model.fills import FillReport, FillSource
from pipeline.store.record import Record
from tests.integration.accounts.fill_rows import FillRows, expected
from tests.unit.accounts.books.fills import fill
from workers.execution.fills import correct_fill, record_fill

ACTIVITY, STREAM = FillSource.ACTIVITY, FillSource.STREAM
_LINES = ("a - entry buy 2 100", "b - exit sell 2 103", "c - entry sell 2 90")
BOUGHT, SOLD, SHORT = (fill(number, line) for number, line in enumerate(_LINES))


@pytest.fixture
def fills(record: Record, database_url: str) -> FillRows:
    made = FillRows(record, database_url)
    made.add(BOUGHT, SOLD, SHORT)
    made.run("UPDATE broker_order SET order_id = client_order_id")
    made.settle()
    return made


def correction(of: BookFill) -> FillReport:
    """Return the correction of a fill, which the broker reports a day later."""
    return FillReport(
        fill_id="c-1",
        order_id=str(of.execution_id),
        symbol="AAPL",
        side=of.side,
        quantity=of.quantity,
        price=Decimal(99),
        filled_at=of.filled_at + timedelta(days=1),
    )


def streamed(fills: FillRows, of: BookFill) -> None:
    fills.record.run(lambda connection: correct_fill(connection, "PA1", of.fill_id, correction(of)))


def listed(fills: FillRows, of: BookFill) -> None:
    fills.record.run(lambda connection: record_fill(connection, "PA1", correction(of), source=ACTIVITY))


@pytest.mark.parametrize("tells", [[streamed], [streamed, listed], [listed, streamed]])
@pytest.mark.parametrize("corrected", [BOUGHT, SOLD, SHORT])
def test_a_correction_has_the_time_of_the_trade_that_it_corrects(
    fills: FillRows, corrected: BookFill, tells: list[Callable[[FillRows, BookFill], None]]
) -> None:
    for tell in tells:
        tell(fills, corrected)
    fills.settle()

    now = replace(corrected, fill_id="c-1", price=Decimal(99))
    assert fills.books() == expected([now if each is corrected else each for each in (BOUGHT, SOLD, SHORT)])
