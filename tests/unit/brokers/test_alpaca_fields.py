"""Fields of raw JSON are read exactly, or refused with their name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import BrokerUnreadable
from workers.brokers.alpaca.fields import Fields, read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_no_digit_of_a_number_is_lost() -> None:
    fields = Fields.of("order", read_json('{"qty": 0.1234567890123456789, "price": "0.1234567890123456789"}'))

    assert fields.amount("qty") == fields.amount("price") == Decimal("0.1234567890123456789")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "<html>", "\ufffd"])
def test_what_is_not_json_is_unreadable(text: str) -> None:
    with pytest.raises(BrokerUnreadable):
        read_json(text)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e31", "1e-31", "ten", True, [], {}, "0x10"])
def test_what_is_not_an_amount_is_refused_by_name(value: Any) -> None:
    with pytest.raises(BrokerUnreadable, match="order has no readable qty"):
        Fields.of("order", {"qty": value}).amount_or_none("qty")


@pytest.mark.parametrize("value", [None, "", 5, "with\u0000nul", "line\nbreak", "\ud800", "schlüssel"])
def test_what_is_not_a_word_is_refused_by_name(value: Any) -> None:
    with pytest.raises(BrokerUnreadable, match="order has no readable id"):
        Fields.of("order", {"id": value}).word("id")


@pytest.mark.parametrize(
    "value", ["9999-12-31T23:59:59-05:00", "1969-12-31T00:00:00Z", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"]
)
def test_a_time_that_cannot_be_calculated_with_is_refused_by_name(value: str) -> None:
    with pytest.raises(BrokerUnreadable, match="order has no readable filled_at"):
        Fields.of("order", {"filled_at": value}).time_or_none("filled_at")


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_the_year_1_is_no_time(value: str) -> None:
    assert Fields.of("order", {"filled_at": value}).time_or_none("filled_at") is None


@given(value=JSON)
def test_no_value_whatsoever_makes_a_reader_fail_otherwise(value: Any) -> None:
    for read in (
        Fields.word,
        Fields.amount,
        Fields.amount_or_none,
        Fields.time,
        Fields.time_or_none,
        Fields.side,
    ):
        try:
            fields = Fields.of("thing", {"key": value, "side": value})
            fields.side() if read is Fields.side else read(fields, "key")  # type: ignore[operator]
        except BrokerUnreadable:
            continue
