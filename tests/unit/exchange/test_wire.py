"""Numbers and times are written as the broker writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workers.exchange.refusals import plain
from workers.exchange.tickets import decimals
from workers.exchange.wire import cents, six_decimals, timestamp


@pytest.mark.parametrize(
    ("value", "written"),
    [("1E+3", "1000"), ("1.500", "1.5"), ("0.000000001", "0.000000001"), ("-0.00", "0"), ("100", "100")],
)
def test_a_number_has_no_exponent_and_no_trailing_zero(value: str, written: str) -> None:
    assert plain(Decimal(value)) == written


def test_amounts_are_rounded_as_the_broker_rounds_them() -> None:
    assert (cents(Decimal("99.995")), six_decimals(Decimal(1) / 3)) == ("100", "0.333333")


@pytest.mark.parametrize(
    ("ns", "written"),
    [
        (1_800_000_000_000_000_000, "2027-01-15T08:00:00Z"),
        (1_800_000_000_120_000_000, "2027-01-15T08:00:00.12Z"),
        (1_800_000_000_000_000_001, "2027-01-15T08:00:00.000000001Z"),
    ],
)
def test_a_time_is_written_to_the_nanosecond(ns: int, written: str) -> None:
    assert timestamp(ns) == written


@pytest.mark.parametrize(("value", "needed"), [("1", 0), ("1.00", 0), ("100", 0), ("1.25", 2), ("1E-9", 9)])
def test_decimals_are_counted_without_trailing_zeros(value: str, needed: int) -> None:
    assert decimals(Decimal(value)) == needed
