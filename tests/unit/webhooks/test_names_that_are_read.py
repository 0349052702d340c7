"""A value under a known name is read or refused, never ignored. Of two different values, neither is chosen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.webhooks.test_translate import read, refusal

BUY = {"symbol": "AAPL", "action": "buy", "price": "71"}


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"close": True}, "close"),
        ({"close": {"percent": 50}}, "close"),
        ({"close": "50%"}, "close"),
        ({"close": [50]}, "close"),
        ({"limitPrice": {"offset": 1}}, "limitPrice"),
        ({"entry_price": 70, "order_price": "x"}, "order_price"),
        ({"tp": [75, 80], "target_price": 75}, "tp"),
        ({"sl": {"percent": 2}, "stop_loss": 60}, "sl"),
        ({"exchange": {"name": "LSE"}}, "exchange"),
        ({"source": {"quantity": 5}}, "source"),
        ({"stop_loss": 60, "sl": 50}, "sl"),
        ({"stopLoss": "60", "SL": 50}, "SL"),
        ({"take_profit": 80, "tp": 90}, "tp"),
        ({"positionSize": 7}, "positionSize"),
        ({"position_size": "7", "quantity": 5}, "position_size"),
    ],
)
def test_a_value_under_a_name_that_is_read_is_read_or_refused(words: dict[str, Any], key: str) -> None:
    assert refusal(BUY | words)[1].startswith(f"{key}: ")
    assert refusal(BUY | {"class": "stock"} | words)[1].startswith(f"{key}: ")
    if "stopLoss" not in words:
        assert refusal({"ticker": "AAPL", "orderType": "market"} | BUY | words)[1].startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"order": {"price": 70}}, "price"),
        ({"order": {"sl": 60}, "sl": 65}, "sl"),
        ({"strategy": {"market_position": "short"}, "market_position": "long"}, "market_position"),
        ({"order": {"entry_price": 70}, "strategy": {"entry_price": 69}}, "entry_price"),
    ],
)
def test_an_inner_object_that_states_another_order_is_refused(words: dict[str, Any], key: str) -> None:
    assert refusal(BUY | words)[1].startswith(f"{key}: ")


@pytest.mark.parametrize(
    "words",
    [
        {"stop_loss": 60, "sl": "60.0"},
        {"order": {"price": 71.0}},
        {"close": 70.5},
        {"close": False},
        {"bar": {"close": 70.5}, "close": 71},
        {"order_price": "NaN"},
        {"sl": "", "stop_loss": 60},
        {"market_position": "long", "positionSize": 7},
        {"position_size": 0},
        {"bar": {"close": 70.5, "time": "2026-01-30T14:30:00Z"}, "order_price": 70.9},
    ],
)
def test_the_same_value_may_be_sent_twice(words: dict[str, Any]) -> None:
    assert str(read(BUY | words).signal["entry_price"]) == "71"


@pytest.mark.parametrize("leg", ["stopLoss", "takeProfit"])
@pytest.mark.parametrize(
    "inner", [{"offset": 2}, {"percent": 5, "amount": 3}, {"price": 60, "percent": 5}, {"price": 60, "quantity": 5}]
)
def test_what_is_not_read_of_a_leg_is_refused(leg: str, inner: dict[str, Any]) -> None:
    assert refusal({"ticker": "AAPL", "action": "buy", "price": 71, leg: inner})[1].startswith(f"{leg}: ")


@pytest.mark.parametrize("action", ["close", "Exit Long", "flat"])
def test_two_stops_do_not_hold_up_a_close(action: str) -> None:
    signal = read({"symbol": "AAPL", "action": action, "stop_loss": 60, "sl": 50}).signal

    assert (signal["intent"], signal.get("stop_price")) == ("close", None)
