"""A template ignores no field that changes the order, and shows the fields that it does not use."""

from __future__ import annotations

from typing import Any

import pytest

from config.webhooks import Template
from tests.unit.webhooks.test_translate import read, refusal

PATHS = {"symbol": "{e.s}", "action": "{e.kind}", "price": "{e.p}"}
EVENT = {"s": "AAPL", "kind": "buy", "p": 71}


def own(**more: Any) -> dict[str, Any]:
    return {"dialect": "template", "template": Template(**PATHS, **more)}


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"exchange": "LSE"}, "'LSE:AAPL'"),
        ({"class": "crypto"}, "class"),
        ({"x": {"class": "crypto"}}, "class"),
        ({"x": [{"exchange": "LSE"}]}, "'LSE:AAPL'"),
        ({"type": "crypto"}, "type"),
        ({"type": "future"}, "type"),
        ({"side": "sell"}, "side"),
        ({"type": "sell"}, "type"),
        ({"order": "Exit Long"}, "order"),
        ({"x": {"action": "sell"}}, "action"),
        ({"x": [{"symbol": "MSFT", "action": "buy"}]}, "action"),
        ({"marketPosition": "flat"}, "marketPosition"),
        ({"market_position": "long"}, "market_position"),
        ({"prev_market_position": "short"}, "prev_market_position"),
        ({"sentiment": "bearish"}, "sentiment"),
        ({"x": {"market_position": "flat"}}, "market_position"),
        ({"positionSize": 7}, "positionSize"),
        ({"market_position_size": "7"}, "market_position_size"),
        ({"confidence": 40}, "confidence"),
        ({"expires_at": "2026-01-30T14:32:00Z"}, "expires_at"),
        ({"executors": "argo"}, "executors"),
        ({"intent": "close"}, "intent"),
        ({"orderType": "limit"}, "orderType"),
        ({"limit_price": 70}, "limit_price"),
    ],
)
def test_a_key_that_changes_the_order_and_is_not_mapped_is_refused_by_its_name(more: dict[str, Any], key: str) -> None:
    assert refusal({"e": EVENT | more}, **own())[1].startswith(f"{key}: ")
    assert refusal({"e": EVENT} | more, **own())[1].startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("more", "mapped"),
    [
        ({"marketPosition": "long"}, {"position": "{e.marketPosition}"}),
        ({"marketPosition": "long", "sentiment": "long", "positionSize": 7}, {"position": "{e.marketPosition}"}),
        ({"prev_market_position": "flat"}, {"previous_position": "{e.prev_market_position}"}),
        ({"confidence": 40}, {"confidence": 90}),
        ({"sentiment": "0.83 of the news"}, {}),
        ({"exchange": "NASDAQ", "class": "stock", "type": "stock"}, {}),
        ({"side": "buy", "order": "Long", "x": {"action": "BUY", "symbol": "NASDAQ:AAPL"}}, {}),
        ({"positionSize": 0}, {}),
    ],
)
def test_a_key_that_is_mapped_or_agrees_is_no_reason_to_refuse(more: dict[str, Any], mapped: dict[str, Any]) -> None:
    assert read({"e": EVENT | more}, **own(**mapped)).signal["action"] == "BUY"


def test_the_size_of_a_position_is_not_used_where_sizes_are_ignored() -> None:
    assert read({"e": EVENT | {"positionSize": 7}}, quantity="ignore", **own()).signal["symbol"] == "AAPL"


def test_keys_that_a_template_does_not_use_are_shown() -> None:
    body = {"e": EVENT | {"comment": "x", "empty": None}, "interval": "5"}

    assert read(body, **own()).notes == ("not used: comment, interval",)


def test_a_sale_that_is_called_an_exit_closes() -> None:
    body = {"symbol": "AAPL", "action": "sell", "price": 71, "type": "exit"}
    signals = [
        read(body).signal,
        read(body | {"ticker": "AAPL", "sentiment": None, "timeInForce": "day"}).signal,
        read({"e": EVENT | {"kind": "sell", "type": "Exit Long"}}, **own()).signal,
    ]

    assert [(each["action"], each["intent"]) for each in signals] == [("SELL", "close")] * 3


def test_an_addition_has_no_second_action() -> None:
    body = {"ticker": "AAPL", "action": "add", "sentiment": "long", "signalPrice": 71}

    assert refusal(body | {"side": "sell"})[1].startswith("side: ")
    assert read(body | {"side": "buy"}).signal["intent"] == "open"
