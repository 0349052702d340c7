from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.accounts.snapshot import Snapshot
from tests.rule_cases import NOW, case, position, signal
from workers.execution.position_book import BookRow, book_of


def held(strategy: str, quantity: int, stop: int | None) -> BookRow:
    """Return one strategy's holding in AAPL, without open entries."""
    return BookRow(
        symbol="AAPL",
        strategy=strategy,
        quantity=Decimal(quantity),
        stop_price=None if stop is None else Decimal(stop),
    )


@pytest.mark.parametrize(
    ("side", "stops", "risk"),
    [
        # The position in these cases trades at 110.
        (1, [100, 108], 200),
        (1, [108, 100], 200),
        (-1, [120, 112], 200),
        (-1, [112, 120], 200),
        # Without a stop, a tenth of the price is assumed, unless the other stop is farther away.
        (1, [108, None], 220),
        (1, [None, 90], 400),
        (1, [None, None], 220),
        # The price has passed the stop, and the position is still open: a tenth of the price is assumed again.
        (1, [112, 115], 220),
        (-1, [108, 105], 220),
    ],
)
def test_the_farther_of_two_strategies_stops_sets_the_risk(side: int, stops: list[int | None], risk: int) -> None:
    read = Snapshot(account=case(signal()).account, positions=(position(20 * side),), taken_at=NOW)
    rows = [held(name, 10 * side, stop) for name, stop in zip(["a", "b"], stops, strict=True)]

    assert book_of(read, rows).open_risk(Decimal(10)) == risk
