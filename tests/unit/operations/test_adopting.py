"""After an adoption, the recorded holdings are the broker's position."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.operations.adopting import adoption_of

QUANTITIES = st.decimals(min_value=-100, max_value=100, places=3)


@pytest.mark.parametrize(
    ("broker", "record", "less", "more"),
    [
        (5, 0, 0, 5),
        (15, 10, 0, 5),
        (6, 10, 4, 0),
        (0, 10, 10, 0),
        (-3, 10, 10, -3),
        (-6, -10, 4, 0),
        (-12, -10, 0, -2),
    ],
)
def test_less_is_taken_from_those_who_hold_it_and_more_belongs_to_manual(
    broker: int, record: int, less: int, more: int
) -> None:
    change = adoption_of(broker=Decimal(broker), record=Decimal(record))

    assert (change.taken_from_strategies, change.added_to_manual) == (less, more)


@given(broker=QUANTITIES, record=QUANTITIES)
def test_what_is_left_is_what_the_broker_holds(broker: Decimal, record: Decimal) -> None:
    change = adoption_of(broker=broker, record=record)

    side = 1 if record > 0 else -1
    assert 0 <= change.taken_from_strategies <= abs(record)
    assert record - side * change.taken_from_strategies + change.added_to_manual == broker
