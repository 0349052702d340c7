from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.webhooks import Template, WebhookSettings
from pipeline.intake.webhooks.body import kept, read_body
from pipeline.intake.webhooks.translate import Identity, Translation, translate
from pipeline.model.errors import InvalidSignal

NOW = datetime(2026, 1, 30, 14, 31, 7, tzinfo=UTC)
BUY = {"ticker": "AAPL", "action": "buy", "price": 190}


def read(content: Any, **settings: Any) -> Translation:
    raw = content if isinstance(content, str) else json.dumps(content)
    return translate(read_body(raw.encode()), WebhookSettings(name="mine", **settings), now=NOW)


def refusal(content: Any, **settings: Any) -> tuple[str, str]:
    with pytest.raises(InvalidSignal) as raised:
        read(content, **settings)
    return str(raised.value.code), str(raised.value)


def meant(content: Any, **settings: Any) -> tuple[str, str, str | None]:
    signal = read(content, **settings).signal
    quantity = signal.get("quantity")
    return signal["action"], signal["intent"], None if quantity is None else str(quantity)


@pytest.mark.parametrize(
    ("action", "before", "after", "expected"),
    [
        ("buy", None, None, ("BUY", "auto", "20")),
        ("sell", None, None, ("SELL", "auto", "20")),
        ("buy", "flat", "long", ("BUY", "open", "20")),
        ("buy", "long", "long", ("BUY", "open", "20")),
        ("sell", "flat", "short", ("SELL", "open", "20")),
        ("sell", "short", "short", ("SELL", "open", "20")),
        ("sell", "long", "flat", ("SELL", "close", None)),
        ("buy", "short", "flat", ("BUY", "close", None)),
        ("sell", "long", "long", ("SELL", "close", "20")),
        ("buy", "short", "short", ("BUY", "close", "20")),
        ("sell", None, "flat", ("SELL", "close", None)),
        ("buy", None, "bearish", ("BUY", "close", "20")),
        ("buy", "short", "long", ("BUY", "auto", None)),
        ("sell", "long", "short", ("SELL", "auto", None)),
        ("exit", None, None, ("SELL", "close", "20")),
        ("exit", "short", "flat", ("BUY", "close", "20")),
        ("close_short", None, None, ("BUY", "close", "20")),
        ("Exit Long", None, None, ("SELL", "close", "20")),
    ],
)
def test_positions_before_and_after_decide_between_opening_and_closing(
    action: str, before: str | None, after: str | None, expected: tuple[str, str, str | None]
) -> None:
    body = {"symbol": "AAPL", "action": action, "contracts": 20, "price": 190}
    told = {"prev_market_position": before, "market_position": after}

    assert meant(body | {key: value for key, value in told.items() if value}) == expected


def test_a_position_alone_is_an_order_too() -> None:
    said = [meant({"ticker": "AAPL", "price": 190, "market_position": word})[:2] for word in ("long", "short", "flat")]

    assert said == [("BUY", "auto"), ("SELL", "auto"), ("SELL", "close")]


def test_an_exit_without_a_side_closes_the_side_of_the_webhook() -> None:
    assert meant("close AAPL", exits="short") == ("BUY", "close", None)
    assert "does not name the side" in read("close AAPL").notes[0]


def test_a_quantity_may_be_ignored() -> None:
    assert meant(BUY | {"quantity": 5}, quantity="ignore") == ("BUY", "auto", None)


@pytest.mark.parametrize(
    ("sent", "symbol"),
    [
        ("AAPL", "AAPL"),
        ("nasdaq:aapl", "AAPL"),
        ("NYSE:BRK.B", "BRK.B"),
        ("NYSE:BRK-B", "BRK.B"),
        ("brk/b", "BRK.B"),
        ("NASDAQ_DLY:MSFT", "MSFT"),
        ("BTCUSD", "BTC/USD"),
        ("COINBASE:BTCUSD", "BTC/USD"),
        ("BINANCE:ETHUSDT", "ETH/USD"),
        ("SOLUSDC", "SOL/USD"),
        ("BTC/USDT", "BTC/USDT"),
        ("ETHBTC", None),
        ("LSE:BP", None),
        ("NSE:RELIANCE", None),
        ("NQ1!", None),
        ("MNQU2025", None),
        ("OANDA:EURUSD", None),
        ("EURUSD", None),
        ("XAUUSD", None),
        ("BYBIT:BTCUSDT.P", None),
        ("SPY 250624C596", None),
        ("", None),
    ],
)
def test_symbols_become_ours_or_are_refused(sent: str, symbol: str | None) -> None:
    body = BUY | {"ticker": sent}
    if symbol is None:
        assert refusal(body)[0] in {"bad_symbol", "not_supported", "not_understood"}
    else:
        assert read(body).signal["symbol"] == symbol


def test_symbols_and_exchanges_of_the_webhook_count_first() -> None:
    own = {"symbols": {"LSE:BP": "BP", "XBTUSD": "BTC/USD"}, "exchanges": ["TSX"], "stablecoins": "keep"}
    sent = ["LSE:BP", "KRAKEN:XBTUSD", "TSX:SHOP", "ETHUSDT"]

    assert [read(BUY | {"ticker": each}, **own).signal["symbol"] for each in sent] == [
        "BP",
        "BTC/USD",
        "SHOP",
        "ETH/USDT",
    ]


def test_an_exchange_in_a_field_of_its_own_counts_as_a_prefix() -> None:
    assert refusal(BUY | {"exchange": "LSE"})[0] == "bad_symbol"
    assert read(BUY | {"exchange": "NASDAQ"}).signal["symbol"] == "AAPL"


@pytest.mark.parametrize(
    ("told", "identity"),
    [
        ({}, Identity.BODY),
        ({"alert_id": "7"}, Identity.GIVEN),
        ({"id": "Long", "order_id": "Long"}, Identity.BODY),
        ({"timenow": "2026-01-30T14:31:07Z"}, Identity.FIRED),
        ({"timestamp": 1769783467000}, Identity.FIRED),
        ({"timestamp": "1769783467"}, Identity.FIRED),
        ({"time": "2026-01-30T14:31:00Z"}, Identity.FIRED),
        ({"time": "2026-01-30T14:30:00Z"}, Identity.BODY),
        ({"bar": {"time": "2026-01-30T14:31:07Z"}}, Identity.BODY),
    ],
)
def test_an_id_or_a_time_of_firing_makes_the_identity(told: dict[str, Any], identity: Identity) -> None:
    assert read(BUY | told).identity is identity


def test_the_time_of_firing_is_when_the_signal_was_generated() -> None:
    fired = NOW - timedelta(seconds=90)

    assert read(BUY | {"timenow": fired.isoformat()}).signal["generated_at"] == fired
    assert "generated_at" not in read(BUY | {"time": fired.isoformat()}).signal


@pytest.mark.parametrize("time", ["2026-01-30T14:31:07", "yesterday", "14:31"])
def test_a_time_without_a_zone_is_refused(time: str) -> None:
    assert refusal(BUY | {"timenow": time})[0] == "bad_value"


def test_a_secret_in_the_body_does_not_change_its_digest() -> None:
    one, other, further = (
        read_body(json.dumps(BUY | more).encode()) for more in ({"secret": "a"}, {"token": "b"}, {"x": 1})
    )

    assert one.digest == other.digest != further.digest
    assert (one.secrets, other.secrets) == (("a",), ("b",))


@pytest.mark.parametrize("text", ["secret=abcdef buy AAPL at 190", "buy AAPL at 190 passphrase: abcdef"])
def test_a_secret_in_a_text_is_taken_out_of_it(text: str) -> None:
    body = read_body(text.encode())

    assert body.secrets == ("abcdef",)
    assert body.content == "buy AAPL at 190"


def test_an_unreadable_body_is_kept_without_its_secrets() -> None:
    assert "abcdef" not in kept(b'{"passphrase": "abcdef", "ticker": ')
    assert "abcdef" not in kept(b'{"note": "abcdef"', secrets=["abcdef"])
    assert len(kept(b"x" * 9000)) == 4096


@pytest.mark.parametrize(
    ("executors", "own", "expected"),
    [
        (None, ["argo"], ["argo"]),
        (["argo"], None, ["argo"]),
        (["argo"], ["argo", "prop_firm"], ["argo"]),
        (None, None, None),
    ],
)
def test_an_alert_may_name_some_of_the_webhooks_executors(executors: Any, own: Any, expected: Any) -> None:
    body = BUY | ({} if executors is None else {"executors": executors})
    settings = {} if own is None else {"executors": own}

    assert read(body, **settings).signal.get("executors") == expected


def test_an_alert_cannot_name_executors_that_are_not_the_webhooks() -> None:
    assert refusal(BUY | {"executors": ["prop_firm"]}, executors=["argo"])[0] == "not_supported"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "unreadable"),
        ("[1, 2]", "unreadable"),
        ('{"ticker": "AAPL", "ticker": "MSFT"}', "unreadable"),
        ({"action": "buy"}, "not_understood"),
        ({"ticker": "AAPL", "price": 1}, "not_understood"),
        (BUY | {"action": "moon"}, "not_understood"),
        (BUY | {"price": "n/a"}, "bad_value"),
        (BUY | {"price": True}, "bad_value"),
        (BUY | {"price": -1}, "invalid_signal"),
        (BUY | {"confidence": 0.9}, "invalid_signal"),
        (BUY | {"sl": 200}, "invalid_signal"),
        (BUY | {"test": True, "sentiment": "long"}, "not_supported"),
        (BUY | {"action": "reverse", "sl": 180}, "invalid_signal"),
        (BUY | {"action": "reverse", "intent": "close"}, "not_understood"),
        (BUY | {"action": "flat", "percent": 50}, "not_supported"),
        ("flatten", "not_understood"),
        ("do not buy AAPL at 190", "not_understood"),
        ("buy AAPL at 190 and MSFT at 410", "not_understood"),
        ("buy AAPL at {{close}}", "placeholder_unfilled"),
    ],
)
def test_an_alert_that_is_no_signal_is_refused_with_its_code(content: Any, code: str) -> None:
    assert refusal(content)[0] == code


def test_text_is_nothing_for_a_dialect_of_objects() -> None:
    assert refusal("buy AAPL at 190", dialect="traderspost")[0] == "unreadable"


def test_a_template_reads_a_body_at_its_paths() -> None:
    places = Template(symbol="{a.0.b}", action="{kind}", price="{p}", confidence="88.5", words={"IN": "buy"})
    own = {"dialect": "template", "template": places}

    signal = read({"a": [{"b": "AAPL"}], "kind": "IN", "p": "190.5"}, **own).signal

    assert (signal["symbol"], signal["action"], str(signal["entry_price"])) == ("AAPL", "BUY", "190.5")
    assert str(signal["confidence"]) == "88.5"
    assert refusal({"a": [], "kind": "IN", "p": 1}, **own)[1] == "symbol: there is nothing at {a.0.b}"
    assert refusal({"a": [{"b": {}}], "kind": "IN", "p": 1}, **own)[0] == "bad_value"
