"""An alert that contradicts itself, or names no tradable symbol, is refused; nothing is guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config.webhooks import Template
from tests.unit.webhooks.test_translate import read, refusal

BUY = {"symbol": "AAPL", "action": "buy", "price": "71"}
TEMPLATE = {"dialect": "template", "template": Template(symbol="{symbol}", action="{action}", price="{price}")}


@pytest.mark.parametrize("symbol", ["\u017fPY", "A\ufb00", "BR\u212a.B", "NASDAQ:\u017fPY", "BTCU\u017fDT"])
def test_letters_that_become_others_in_upper_case_name_no_symbol(symbol: str) -> None:
    code, message = refusal(json.dumps(BUY | {"symbol": symbol}))

    assert code == "bad_symbol", message


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"action": "buy", "direction": "exit long"}, "direction"),
        ({"action": "buy", "SIDE": " Sell "}, "SIDE"),
        ({"action": "exit", "side": "short position"}, "side"),
        ({"action": "exit", "side": "both"}, "side"),
        ({"action": "close", "side": "enter_long"}, "side"),
        ({"action": "close_long", "side": "short"}, "side"),
        ({"action": "close_long", "side": "buy"}, "side"),
        ({"action": "buy", "signal": {"quantity": 5}}, "signal"),
    ],
)
def test_a_second_action_or_an_unknown_side_is_refused(words: dict[str, Any], key: str) -> None:
    _, message = refusal(BUY | words)

    assert message.startswith(f"{key}: "), message


@pytest.mark.parametrize(
    ("words", "side"),
    [
        ({"action": "exit", "side": "Exit Short"}, "BUY"),
        ({"action": "exit", "side": "exit_short"}, "BUY"),
        ({"action": "close", "direction": " short "}, "BUY"),
        ({"action": "close", "side": "cover"}, "BUY"),
        ({"action": "exit_short", "side": "short"}, "BUY"),
        ({"action": "exit_long", "side": "sell"}, "SELL"),
        ({"action": "exit", "side": "long", "signal": "MACD cross"}, "SELL"),
    ],
)
def test_a_close_may_name_its_side_under_a_second_key(words: dict[str, Any], side: str) -> None:
    signal = read({"symbol": "AAPL"} | words).signal

    assert (signal["action"], signal["intent"]) == (side, "close")


#: The key of the symbol, and the fields by which `auto` recognises each dialect.
MARKS: list[tuple[str, dict[str, Any]]] = [
    ("ticker", {}),
    ("ticker", {"orderType": "market"}),
    ("ticker", {"timeInForce": "day"}),
    ("ticker", {"quantityType": "shares", "quantity": 10}),
    ("symbol", {"class": "stock"}),
    ("symbol", {"quantity_type": "shares", "quantity": 10}),
]


@pytest.mark.parametrize(("symbol", "mark"), MARKS)
def test_the_senders_positions_count_in_every_dialect(symbol: str, mark: dict[str, Any]) -> None:
    flat = {"market_position": "flat", "prev_market_position": "long", "market_position_size": "0"}
    sold = read({symbol: "AAPL", "action": "sell", "price": 71} | flat | mark).signal
    covered = read({symbol: "AAPL", "action": "buy", "price": 71, "market_position": "short"} | mark).signal

    assert (sold["action"], sold["intent"], sold.get("quantity")) == ("SELL", "close", None)
    assert (covered["action"], covered["intent"]) == ("BUY", "close")


@pytest.mark.parametrize(("symbol", "mark"), MARKS)
def test_another_action_or_position_is_refused_in_every_dialect(symbol: str, mark: dict[str, Any]) -> None:
    body = {symbol: "AAPL", "action": "buy", "price": 71} | mark

    assert refusal(body | {"side": "sell"})[1].startswith("side: ")
    assert refusal(body | {"market_position": "long", "sentiment": "flat"})[1].startswith("sentiment: ")


@pytest.mark.parametrize("key", ["live", "is_live", "enabled", "real_money"])
@pytest.mark.parametrize("value", [" false ", "False\n", "n", "f", "0.0", "disabled", "paper", "no "])
def test_only_a_yes_makes_an_alert_one_for_real(key: str, value: str) -> None:
    assert refusal(BUY | {key: value})[1].startswith(f"{key}: ")
    assert read(BUY | {key: "yes "}).signal["action"] == "BUY"


@pytest.mark.parametrize("value", ["Paper Trading", "paper-trading", "demo_account", "PaperTrading", "backtesting"])
def test_a_mode_that_contains_the_word_of_a_test_is_a_test(value: str) -> None:
    assert refusal(BUY | {"mode": value})[1].startswith("mode: ")


@pytest.mark.parametrize("value", [" false ", "false\n", "n", "f"])
def test_a_no_is_a_no_however_it_is_written(value: str) -> None:
    signal = read(BUY | {"test": value, "reduce_only": value}).signal

    assert signal["intent"] == "auto"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"ticker": "MSFT"}, "ticker"),
        ({"ticker": "MSFT", "orderType": "market"}, "symbol"),
        ({"symbol": "NASDAQ:AAPL", "ticker": "MSFT"}, "ticker"),
        ({"order": {"ticker": "MSFT"}}, "ticker"),
        ({"order": {"symbol": "MSFT"}}, "symbol"),
        ({"order": {"action": "sell"}}, "action"),
        ({"strategy": {"action": "close"}}, "action"),
    ],
)
def test_two_symbols_or_actions_are_refused_wherever_they_are(words: dict[str, Any], key: str) -> None:
    assert refusal(BUY | words)[1].startswith(f"{key}: ")


@pytest.mark.parametrize("words", [{"ticker": "NASDAQ:AAPL"}, {"order": {"symbol": "aapl", "action": "BUY"}}])
def test_one_symbol_and_action_may_be_sent_twice(words: dict[str, Any]) -> None:
    assert read(BUY | words).signal["symbol"] == "AAPL"


@pytest.mark.parametrize("text", ["close all", "flat all", "buy 10 shares at 71", "buy 10 at 71", "sell at 71"])
def test_a_text_without_a_symbol_is_no_order_for_a_symbol_of_that_name(text: str) -> None:
    assert refusal(text)[0] == "not_understood"


@pytest.mark.parametrize("action", ["buy", "exit"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("positionSide", "SHORT"),
        ("pos_side", "short"),
        ("closePosition", True),
        ("closePosition", "true"),
        ("position_effect", "close"),
        ("position_intent", "sell_to_close"),
        ("exit", True),
        ("reverse", True),
        ("orderSide", "buy"),
    ],
)
def test_a_close_or_a_side_under_a_key_that_is_not_read_is_refused(action: str, key: str, value: Any) -> None:
    assert refusal(BUY | {"action": action, key: value})[1].startswith(f"{key}: ")
    assert read(BUY | {"action": action, key: False}).signal["symbol"] == "AAPL"


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"symbol": "ETH", "class": "crypto"}, "class"),
        ({"symbol": "ETH", "asset_type": "Cryptocurrency"}, "asset_type"),
        ({"symbol": "BTCUSD", "class": "stock"}, "class"),
        ({"symbol": "BTC/USD", "secType": "STK"}, "secType"),
        ({"symbol": "BTCUSD", "class": "crypto", "asset_class": "us_equity"}, "asset_class"),
        ({"symbol": "BINANCE:BTC"}, "'BINANCE:BTC'"),
        ({"symbol": "BTC", "exchange": "COINBASE"}, "'COINBASE:BTC'"),
        ({"symbol": "NASDAQ:BTCUSD"}, "'NASDAQ:BTCUSD'"),
    ],
)
def test_a_symbol_of_another_class_than_the_alert_names_is_refused(words: dict[str, Any], key: str) -> None:
    assert refusal(BUY | words)[1].startswith(f"{key}: ")
    if "exchange" not in words:
        assert refusal(BUY | words, **TEMPLATE)[1].startswith(f"{key}: ")


@pytest.mark.parametrize(
    "words",
    [
        {"symbol": "ETHUSD", "class": "crypto"},
        {"symbol": "BTCUSD", "class": "spot"},
        {"symbol": "BINANCE:BTCUSDT", "asset_class": "crypto"},
        {"symbol": "NYSE:BRK.B", "class": "stock"},
    ],
)
def test_a_symbol_of_the_class_that_the_alert_names_is_read(words: dict[str, Any]) -> None:
    assert read(BUY | words).signal == read(BUY | {"symbol": words["symbol"]}).signal
    assert read(BUY | words, **TEMPLATE).signal == read(BUY | {"symbol": words["symbol"]}).signal
