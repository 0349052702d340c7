"""A number with two possible readings is refused; neither reading is chosen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.webhooks.test_translate import BUY, read, refusal


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1,071.25", "1071.25"),
        ("$1,071.25", "1071.25"),
        ("12,345,678.9", "12345678.9"),
        ("1071,25", "ambiguous_number"),
        ("71,25", "ambiguous_number"),
        ("1,5", "ambiguous_number"),
        ("1,071", "ambiguous_number"),
        ("1,071,000", "ambiguous_number"),
        ("1.071,25", "ambiguous_number"),
        ("1 071,25", "ambiguous_number"),
        ("10,71.25", "ambiguous_number"),
        ("1071.", "1071"),
        ("1e3", "1000"),
        ("1_071", "bad_value"),
        ("\u0661\u0660\u0667\u0661", "bad_value"),
        ("1'071.25", "bad_value"),
        ("1.071.25", "bad_value"),
        ("€1071", "bad_value"),
    ],
)
def test_a_comma_stands_for_thousands_only_before_decimals(written: str, expected: str) -> None:
    body = {"ticker": "AAPL", "action": "buy", "price": written}
    if expected.endswith(("number", "value")):
        assert refusal(body)[0] == expected
        assert refusal(body)[1].startswith("price: ")
    else:
        assert read(body).signal["entry_price"] == Decimal(expected)


@pytest.mark.parametrize("key", ["quantity", "contracts", "sl", "tp", "confidence", "market_position_size"])
def test_every_number_of_an_alert_is_read_in_this_way(key: str) -> None:
    assert refusal(BUY | {key: "1,5"})[0] == "ambiguous_number"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("buy 1,5 AAPL at 190", "ambiguous_number"),
        ("buy AAPL at 71,25", "ambiguous_number"),
        ("buy AAPL at 71.25 stop 70,50", "ambiguous_number"),
        ("action=buy symbol=AAPL price=71,25", "ambiguous_number"),
        ("action=buy,symbol=AAPL,price=71,25,sl=70", "ambiguous_number"),
        ("action=buy; symbol=AAPL; price=71; quantity=1,5", "ambiguous_number"),
        ("order sell @ 5 filled on AAPL. New strategy position is 1,5", "ambiguous_number"),
        ("order buy @ 1,5 filled on AAPL. New strategy position is -0.5", "ambiguous_number"),
    ],
)
def test_the_numbers_in_a_text_are_read_in_this_way(text: str, code: str) -> None:
    assert refusal(text)[0] == code


@pytest.mark.parametrize(
    "text",
    [
        "action=buy,symbol=AAPL,price=1,071.25,sl=1000",
        "ACTION=BUY; SYMBOL=AAPL; PRICE=1,071.25",
        "buy AAPL @ 1,071.25",
        "buy AAPL at $1,071.25",
    ],
)
def test_thousands_are_read_in_a_text_too(text: str) -> None:
    signal: dict[str, Any] = read(text).signal

    assert (signal["symbol"], signal["entry_price"]) == ("AAPL", Decimal("1071.25"))
