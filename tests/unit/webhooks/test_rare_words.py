"""An order with rare terms is carried out or refused by name, like one with the usual terms."""

from __future__ import annotations

from typing import Any

import pytest

from config.webhooks import Template
from tests.unit.webhooks.test_translate import read, refusal

BUY = {"symbol": "AAPL", "action": "buy", "price": "71"}
TEMPLATE = {"dialect": "template", "template": Template(symbol="{symbol}", action="{action}", price="{price}")}

KINDS = [
    *("stp", "STP LMT", "moc", "loc", "limit_if_touched", "trailingStopMarket", "take_profit", "TAKE_PROFIT_MARKET"),
    *("trigger", "stop limit order", "stopLossLimit", "market-on-close", "marketifTouched", "STOP_MARKET", "stoplmt"),
]


@pytest.mark.parametrize("key", ["type", "orderType", "order"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_order_that_waits_is_refused_in_rarer_words_too(key: str, kind: str) -> None:
    assert refusal(BUY | {key: kind})[1].startswith(f"{key}: ")
    assert refusal(BUY | {key: kind}, **TEMPLATE)[1].startswith(f"{key}: ")
    assert refusal({"ticker": "AAPL", "sentiment": "long", key: kind} | BUY)[1].startswith(f"{key}: ")
    assert refusal(BUY | {key: [kind]})[1].startswith(f"{key}: ")


@pytest.mark.parametrize("word", ["momentum", "entry", "Long", "breakout", "buy the dip", "alert", "strategy"])
def test_the_senders_own_word_for_a_type_is_not_a_kind(word: str) -> None:
    assert read(BUY | {"type": word}).signal["symbol"] == "AAPL"
    assert read(BUY | {"type": word}, **TEMPLATE).signal["symbol"] == "AAPL"


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ({"orderType": "market", "limitPrice": 70}, True),
        ({"type": "market"}, True),
        ({}, False),
        ({"action": "close", "orderType": "market"}, False),
    ],
)
def test_a_note_says_that_the_executor_decides_about_the_kind_of_order(more: dict[str, Any], *, noted: bool) -> None:
    assert any(note.startswith("order.type of the executor") for note in read(BUY | more).notes) is noted


JOINED = """riskpct riskusd buyqty sellqty fixedqty qtyusd lotsize fixedsize accountpct slpct tppct stoplimit
    takeprofit1 ocoorder demoaccount istesting maxriskpct slprice my_slpct"""
UNLISTED = """allocation investment capital budget stake fraction portion multiplier amt sz limit callbackRate
    activation_price cancelAfter delay post_only disabled alert_only limitpct capitalpct"""
HARMLESS = """latest contest testimonial description comment strategy_notes mistake proportion market_capitalization
    refraction basis is_delayed symbolname"""


@pytest.mark.parametrize("key", [*JOINED.split(), *UNLISTED.split()])
def test_a_key_that_contains_a_word_of_the_list_is_refused(key: str) -> None:
    for value in (5, True, "5"):
        assert refusal(BUY | {key: value})[1].startswith(f"{key}: ")
        assert refusal(BUY | {key: value}, **TEMPLATE)[1].startswith(f"{key}: ")
    assert read(BUY | {"x": {"comment": key}}).signal["symbol"] == "AAPL"


# Keys that contain a word about orders but do not concern an order.
NO_ORDER: list[tuple[str, Any]] = [
    ("rate_limit", 10),
    ("rateLimitRemaining", 9),
    ("api_limit", "100"),
    ("x_request_limit", 5),
    ("data_delay", 15),
    ("percent_change", "2.31"),
    ("changePercent", -1.2),
    ("daily_change_pct", 0.4),
    ("cancel_url", "https://example.com/cancel/1"),
    ("stopLink", "http://example.com"),
    ("share_url", "https://example.com/chart/5"),
    ("capital_city", "Paris"),
    ("limit_label", "upper band"),
    ("delay_color", "red"),
]
# Keys and values that contain such words and may be instructions for an order.
STILL_ORDERS: list[tuple[str, Any]] = [
    ("rate_limit_quantity", 5),
    ("quantity_rate_limit", 5),
    ("position_percent_change", 5),
    ("limit_rate", 5),
    ("limit", 5),
    ("order_limit", 5),
    ("cancel_url", True),
    ("cancel_url", "all"),
    ("test_url", "https://example.com"),
    ("capital_city", 5),
    ("capital_city", "5"),
    ("cancel_label", "true"),
    ("quantity_label", "ten"),
    ("url_limit", "https://example.com"),
    ("budget_name", "Growth"),
]


@pytest.mark.parametrize(("key", "value"), NO_ORDER)
def test_a_word_of_the_list_may_belong_to_something_that_is_no_order(key: str, value: Any) -> None:
    assert f"not used: {key}" in read(BUY | {key: value}).notes
    assert f"not used: {key}" in read(BUY | {key: value}, **TEMPLATE).notes
    assert read(BUY | {"data": {key: value}}).signal["symbol"] == "AAPL"


@pytest.mark.parametrize(("key", "value"), STILL_ORDERS)
def test_a_key_or_a_value_that_may_be_an_instruction_is_refused_all_the_same(key: str, value: Any) -> None:
    assert refusal(BUY | {key: value})[1].startswith(f"{key}: ")
    assert refusal(BUY | {key: value}, **TEMPLATE)[1].startswith(f"{key}: ")


@pytest.mark.parametrize("key", HARMLESS.split())
def test_a_key_whose_letters_merely_contain_one_is_read_over(key: str) -> None:
    assert read(BUY | {key: "5"}).signal["symbol"] == "AAPL"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("execute", False),
        ("trading_enabled", "false"),
        ("tradingEnabled", False),
        ("mode", "off"),
        ("mode", "dev"),
        ("environment", "Development"),
        ("flags", ["disabled"]),
    ],
)
def test_an_alert_that_is_not_for_real_is_refused(key: str, value: Any) -> None:
    assert refusal(BUY | {key: value})[1].startswith(f"{key}: ")
    assert read(BUY | {"execute": True, "trading_enabled": "true", "mode": "live"}).signal["symbol"] == "AAPL"
