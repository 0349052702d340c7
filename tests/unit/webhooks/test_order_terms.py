"""Each term of an order in an alert is carried out or refused by its name, in every dialect and spelling."""

from __future__ import annotations

from typing import Any

import pytest

from config.webhooks import Template
from tests.unit.webhooks.test_translate import read, refusal

ENTRY = {"symbol": "AAPL", "action": "buy", "price": "71"}
TICKER = {"ticker": "AAPL", "action": "buy", "price": "71"}
CLOSE = {"symbol": "AAPL", "action": "close"}
#: A body for each dialect, by which `auto` recognises it.
DIALECTS = {
    "tradingview": {"symbol": "AAPL", "action": "buy", "price": "71"},
    "traderspost": {"ticker": "AAPL", "action": "buy", "signalPrice": "71", "sentiment": "long"},
    "signalstack": {"symbol": "AAPL", "action": "buy", "price": "71", "class": "stock"},
}

# Terms that are refused, and the key with which the message begins.
REFUSED: list[tuple[dict[str, Any], str]] = [
    # The unit of a size.
    ({"quantityType": "risk_dollar_amount", "quantity": 100}, "quantityType"),
    ({"quantityType": "risk_percent", "quantity": 1}, "quantityType"),
    ({"qty_type": "percent", "qty": 5}, "qty"),
    ({"qtyType": "percent_of_balance", "qty": 5}, "qtyType"),
    ({"quantity_type": "lots", "quantity": 1}, "quantity_type"),
    ({"QUANTITYTYPE": "percent", "QUANTITY": 5}, "QUANTITY"),
    ({"size": "5%"}, "size"),
    ({"quantity": "5%"}, "quantity"),
    ({"qty%": 5}, "qty%"),
    ({"percent": 5}, "percent"),
    ({"qty_percent": 5}, "qty_percent"),
    ({"risk": 1}, "risk"),
    ({"riskPercent": 1}, "riskPercent"),
    ({"vol_lots": 0.1}, "vol_lots"),
    ({"lots": 1}, "lots"),
    ({"amount": 1000}, "amount"),
    ({"size": 100}, "size"),
    ({"amountPerTrade": 0.5, "amountPerTradeType": "percents"}, "amountPerTrade"),
    ({"investmentType": "percentage_investment", "amount": 5}, "investmentType"),
    ({"quantityType": "dollar_amount"}, "quantityType"),
    ({"volume": 2.5}, "volume"),
    ({"leverage": 5}, "leverage"),
    ({"leverage": "3x"}, "leverage"),
    ({"margin_mode": "isolated"}, "margin_mode"),
    # Two sizes.
    ({"quantity": 5, "qty": 10}, "qty"),
    ({"quantity": 5, "contracts": 10}, "contracts"),
    ({"quantity": 5, "notional": 1000}, "notional"),
    ({"contracts": 5, "percent": 5}, "percent"),
    ({"quantity": 5, "qty_type": "fixed", "quantity_type": "dollars"}, "quantity_type"),
    # The kind of order.
    ({"orderType": "stop"}, "orderType"),
    ({"orderType": "stop_limit", "limitPrice": 75}, "orderType"),
    ({"order_type": "trailing_stop"}, "order_type"),
    ({"ORDER_TYPE": "Stop Market"}, "ORDER_TYPE"),
    ({"ordertype": "moc"}, "ordertype"),
    ({"type": "stop"}, "type"),
    ({"order_type": "market", "type": "limit"}, "type"),
    ({"order_class": "oco"}, "order_class"),
    # Limit orders; a signal cannot ask for one.
    ({"orderType": "limit", "limitPrice": 70.5}, "orderType"),
    ({"orderType": "limit"}, "orderType"),
    ({"type": "limit"}, "type"),
    ({"ORDTYPE": "LMT"}, "ORDTYPE"),
    ({"limit_price": 70.5}, "limit_price"),
    ({"order_class": "simple", "lmtPrice": "70.5"}, "lmtPrice"),
    ({"data": {"limit_price": 70.5}}, "limit_price"),
    ({"data": {"order_type": "limit"}}, "order_type"),
    ({"orderType": "market", "type": "limit", "limitPrice": 70.5}, "type"),
    ({"stopPrice": 75}, "stopPrice"),
    ({"trigger_price": 75}, "trigger_price"),
    ({"trailPercent": 1}, "trailPercent"),
    ({"trail_amount": 1}, "trail_amount"),
    ({"trailingStop": {"percent": 1}}, "trailingStop"),
    ({"iceberg_qty": 1}, "iceberg_qty"),
    ({"tp1": 75, "tp2": 80}, "tp1"),
    ({"stop_loss_percent": 2}, "stop_loss_percent"),
    ({"targets": [{"price": 75, "percent": 50}]}, "targets"),
    # The time in force and the trading hours.
    ({"time_in_force": "ioc"}, "time_in_force"),
    ({"timeInForce": "gtc"}, "timeInForce"),
    ({"tif": "FOK"}, "tif"),
    ({"duration": "gtd"}, "duration"),
    ({"extendedHours": True}, "extendedHours"),
    ({"outside_rth": "true"}, "outside_rth"),
    ({"cancel": True}, "cancel"),
    # Options.
    ({"optionType": "call"}, "optionType"),
    ({"option_type": "put", "strike": 70}, "option_type"),
    ({"strikePrice": 70}, "strikePrice"),
    ({"strikes_away": 2}, "strikes_away"),
    ({"expiration": "+6 months"}, "expiration"),
    ({"expiryDate": "2026-12-18"}, "expiryDate"),
    ({"call_put": "C"}, "call_put"),
    ({"legs": [{"symbol": "AAPL261218C00070000", "action": "buy"}]}, "legs"),
    ({"asset_class": "option"}, "asset_class"),
    ({"secType": "FUT"}, "secType"),
    # A test, or an order that is switched off.
    ({"test": True}, "test"),
    ({"test": "yes"}, "test"),
    ({"isTest": 1}, "isTest"),
    ({"dry_run": True}, "dry_run"),
    ({"dryRun": "1"}, "dryRun"),
    ({"DRY-RUN": "true"}, "DRY-RUN"),
    ({"paper": True}, "paper"),
    ({"is_test_net": True}, "is_test_net"),
    ({"sandbox": "on"}, "sandbox"),
    ({"simulate": True}, "simulate"),
    ({"mode": "paper"}, "mode"),
    ({"env": "Demo"}, "env"),
    ({"live": False}, "live"),
    ({"enabled": "false"}, "enabled"),
    ({"flag": ["TEST"]}, "flag"),
    # Unknown names that contain a word about orders, also in nested objects.
    ({"my_quantity_hint": 5}, "my_quantity_hint"),
    ({"atrPercent": 2}, "atrPercent"),
    ({"trailpercent": 2}, "trailpercent"),
    ({"data": {"quantity": 5}}, "quantity"),
    ({"data": [{"inner": {"dryRun": True}}]}, "dryRun"),
    ({"settings": {"live": False}}, "live"),
    ({"quantity": {"type": "dollars", "value": 1500}}, "quantity"),
    # Two different values of one name.
    ({"side": "sell"}, "side"),
    # A second action, and nested orders.
    ({"type": "sell"}, "type"),
    ({"Type": "Exit Long"}, "Type"),
    ({"cmd": "sell"}, "cmd"),
    ({"signalType": "close"}, "signalType"),
    ({"data": {"action": "sell"}}, "action"),
    ({"orders": [{"symbol": "MSFT", "action": "buy"}]}, "action"),
    ({"then": {"symbol": "AAPL", "type": "sell"}}, "type"),
    ({"data": {"market_position": "flat"}}, "market_position"),
    ({"data": {"class": "crypto"}}, "class"),
    ({"data": {"exchange": "LSE"}}, "LSE"),
    ({"data": {"exchange": "LSE"}, "meta": [{"exchange": "NASDAQ"}]}, "exchange"),
    # A class under `type`.
    ({"type": "crypto"}, "type"),
    ({"type": "futures"}, "type"),
    ({"market": "crypto"}, "market"),
    ({"product": "option"}, "product"),
    # Flags and other words for a second action.
    ({"sell": True}, "sell"),
    ({"short": 1}, "short"),
    ({"kind": "sell"}, "kind"),
    ({"transactionType": "SELL"}, "transactionType"),
    ({"strategy.order.action": "sell"}, "strategy.order.action"),
    ({"closeOpposite": True}, "closeOpposite"),
    ({"reverse_order_close": "true"}, "reverse_order_close"),
    ({"pos": "short"}, "pos"),
    # Terms about an earlier order, or for a message that is no order.
    ({"type": "cancel"}, "type"),
    ({"cmd": "CANCEL_ORDER"}, "cmd"),
    ({"status": "Cancelled"}, "status"),
    ({"type": "reduce_only"}, "type"),
    ({"event": "test"}, "event"),
    ({"dontTrade": True}, "dontTrade"),
    ({"confirmed": False}, "confirmed"),
    # Accounts, symbols, prices and times in addition to those of the signal.
    ({"account": "sim101"}, "account"),
    ({"accounts": ["a", "b"]}, "accounts"),
    ({"symbols": ["AAPL", "MSFT"]}, "symbols"),
    ({"currency": "EUR"}, "currency"),
    ({"max_price": 72}, "max_price"),
    ({"maxSlippage": 0.5}, "maxSlippage"),
    ({"exitPrice": 75}, "exitPrice"),
    ({"valid_until": "2026-01-30T14:32:00Z"}, "valid_until"),
    ({"ttl": 60}, "ttl"),
    ({"start_at": "2026-01-31T14:32:00Z"}, "start_at"),
    ({"partial": True}, "partial"),
    ({"tps": "75,80"}, "tps"),
    # The size of a position without its side.
    ({"market_position_size": 10, "market_position": None, "sentiment": None}, "market_position_size"),
    ({"intent": "exit"}, "intent"),
]

# These keys belong to one dialect only.
REFUSED_BY_TRADINGVIEW: list[tuple[dict[str, Any], str]] = [
    ({"order": {"amount": "5", "currency_type": "margin_percent"}}, "currency_type"),
    ({"order": {"type": "STOP_LIMIT"}}, "type"),
    ({"order": "sell"}, "order"),
    ({"Price": "72"}, "price"),
]

# Terms that are accepted, and the fields of the signal that they set.
READ: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"quantity": 5}, {"quantity": "5"}),
    ({"Quantity": "5"}, {"quantity": "5"}),
    ({"shares": 5}, {"quantity": "5"}),
    ({"quantity": 5, "contracts": "5"}, {"quantity": "5"}),
    ({"quantity": 5, "quantityType": "fixed_quantity"}, {"quantity": "5"}),
    ({"notional": 1500}, {"notional": "1500"}),
    ({"quantity": "$1500"}, {"notional": "1500"}),
    ({"quantityType": "dollar_amount", "quantity": 1500}, {"notional": "1500"}),
    ({"amount": "$1,071.25"}, {"notional": "1071.25"}),
    ({"size": 500, "size_type": "USD"}, {"notional": "500"}),
    ({"quantity": 1000, "quantity_type": "cash"}, {"notional": "1000"}),
    ({"equityPercent": "2.5"}, {"equity_percent": "2.5"}),
    ({"quantityType": "percent_of_equity", "quantity": 10}, {"equity_percent": "10"}),
    ({"qty": "10%", "qty_type": "percent_of_equity"}, {"equity_percent": "10"}),
    ({"qty": 5, "qty_type": "shares"}, {"quantity": "5"}),
    ({"amount": 5, "currency_type": "base"}, {"quantity": "5"}),
    ({"quantity": None, "qty": ""}, {}),
    ({"order_type": "MARKET", "limit_price": 70.5}, {"entry_price": "71"}),
    ({"type": "momentum"}, {}),
    ({"order_class": "simple"}, {}),
    ({"time_in_force": "day"}, {}),
    ({"timeInForce": "DAY"}, {}),
    ({"symbol": "BTCUSD", "ticker": "BTCUSD", "class": "crypto", "tif": "gtc"}, {"symbol": "BTC/USD"}),
    ({"extended_hours": False, "cancel": "false"}, {}),
    ({"type": "buy", "order": "Long", "event": "breakout", "data": {"action": "buy"}}, {}),
    ({"type": "stock", "data": {"exchange": "NASDAQ", "class": "stock"}}, {}),
    ({"orders": [{"symbol": "NASDAQ:AAPL", "action": "BUY"}]}, {}),
    ({"prev_market_position_size": 10}, {}),
    ({"market_position": "long", "market_position_size": 10, "prev_market_position_size": "0"}, {}),
    ({"leverage": 1}, {}),
    ({"leverage": "1x"}, {}),
    ({"currency": "USD", "slippage": 0, "account": "", "status": "filled", "event": "tp_hit", "market": "Stocks"}, {}),
    ({"buy": True, "long": 1, "sell": 0, "short": False, "exit": 0}, {}),
    ({"strategy.market_position": "flat", "sentiment": None}, {"intent": "close"}),
    ({"qtty": 5}, {"quantity": "5"}),
    ({"asset_class": "us_equity"}, {}),
    ({"test": False, "dry_run": "false", "paper": 0, "live": True, "mode": "live", "enabled": "true"}, {}),
    ({"trailPercent": 0, "stop_loss_percent": "", "optionType": None, "legs": []}, {}),
    ({"reduce_only": True}, {"intent": "close"}),
    ({"reduceOnly": "false"}, {"intent": "auto"}),
    ({"comment": "breakout", "interval": "5", "data": {"note": "x"}}, {}),
]
READ_BY_TRADINGVIEW: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"order": {"amount": "5", "currency_type": "base"}}, {"quantity": "5"}),
    ({"open": 70, "high": 72, "low": 69, "close": 71, "volume": 1200000}, {"entry_price": "71"}),
    ({"bar": {"close": 71, "volume": 1200000, "time": "2026-01-30T14:30:00Z"}}, {"entry_price": "71"}),
]


def cases(everywhere: list[Any], by_tradingview: list[Any]) -> list[Any]:
    """Return each row once for every dialect in which it applies."""
    rows = [(*row, dialect) for dialect in DIALECTS for row in everywhere]
    return rows + [(*row, "tradingview") for row in by_tradingview]


@pytest.mark.parametrize(("more", "key", "dialect"), cases(REFUSED, REFUSED_BY_TRADINGVIEW))
def test_what_is_not_carried_out_is_refused_by_its_name(more: dict[str, Any], key: str, dialect: str) -> None:
    body = DIALECTS[dialect] | more

    for settings in ({"dialect": dialect}, {}):
        code, message = refusal(body, **settings)
        assert code in ("not_supported", "not_understood", "bad_value", "bad_symbol")
        assert key.lower() in message.lower()


@pytest.mark.parametrize(("more", "expected", "dialect"), cases(READ, READ_BY_TRADINGVIEW))
def test_what_changes_nothing_is_no_reason_to_refuse(
    more: dict[str, Any], expected: dict[str, Any], dialect: str
) -> None:
    body = {key: value for key, value in DIALECTS[dialect].items() if key not in more or key == "price"} | more

    signal = read(body, dialect=dialect).signal

    assert {key: str(signal.get(key)) for key in expected} == expected
    assert ("quantity" in signal) is ("quantity" in expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SYMBOL=AAPL ACTION=BUY PRICE=71 VOLUME=2.5", "2.5"),
        ("symbol=AAPL,action=buy,price=71,qty=5,qty_type=shares", "5"),
        ("symbol=AAPL action=buy close=71 volume=1200000", "volume"),
        ("symbol=AAPL;action=buy;price=71;qty=5;qty_type=percent", "qty"),
        ("symbol=AAPL;action=buy;price=71;qty=5%", "qty"),
        ("symbol=AAPL action=buy price=71 qty=5 qty=6", "qty"),
        ("symbol=AAPL action=buy price=71 dry_run=true", "dry_run"),
        ("symbol=AAPL action=buy price=71 orderType=stop", "orderType"),
        ("symbol=AAPL action=buy price=71 tp1=80", "tp1"),
        ("symbol=AAPL action=buy price=71 risk=1 sl=70", "risk"),
        ("60123456789,buy,AAPL,risk=1,sl=70", "60123456789"),
        ("buy 5% AAPL at 71", "5%"),
        ("buy 5 AAPL at 71 for $500", "not an order"),
        ("buy 2 lots AAPL at 71", "lots"),
    ],
)
def test_the_list_holds_in_a_text_too(text: str, expected: str) -> None:
    if expected[0].isdigit() and expected != "60123456789" and not expected.endswith("%"):
        assert str(read(text).signal["quantity"]) == expected
    else:
        assert expected in refusal(text)[1]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("action", "expected"), [("flat", "FLAT"), ("Flatten", "FLAT"), ("reverse", "REVERSE"), ("FLIP", "REVERSE")]
)
def test_flat_and_reverse_are_actions_in_every_dialect(action: str, expected: str, dialect: str) -> None:
    body = {key: value for key, value in DIALECTS[dialect].items() if key != "sentiment"} | {"action": action}

    signal = read(body, dialect=dialect).signal
    in_text = read(f"{action} AAPL at 71").signal

    intent = "close" if expected == "FLAT" else "auto"
    assert (signal["action"], signal["intent"]) == (in_text["action"], in_text["intent"]) == (expected, intent)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_markets_price_is_read_where_the_alert_or_the_webhook_asks_for_it(dialect: str) -> None:
    bare = {key: value for key, value in DIALECTS[dialect].items() if key not in ("price", "signalPrice")}

    asked = read(bare | {"price": "Market"}, dialect=dialect).signal
    allowed = read(bare, dialect=dialect, price="market").signal

    assert (
        (asked["price"], asked.get("entry_price")) == (allowed["price"], allowed.get("entry_price")) == ("market", None)
    )
    assert read(bare | {"price": "71"}, dialect=dialect, price="market").signal.get("price") is None
    assert refusal(bare, dialect=dialect)[0] == "no_price"
    assert refusal(bare | {"price": "market", "limit_price": 70}, dialect=dialect)[0] == "not_supported"
    assert "price" not in read(bare | {"action": "close", "price": "market"}, dialect=dialect).signal


def test_the_markets_price_may_be_asked_for_in_a_text_and_by_a_template() -> None:
    own = {"dialect": "template", "template": Template(symbol="{s}", action="{k}", price="market")}

    signals = [
        read("buy AAPL at market"),
        read("symbol=AAPL action=buy price=market"),
        read({"s": "A", "k": "buy"}, **own),
    ]

    assert [each.signal["price"] for each in signals] == ["market"] * 3


def test_dollars_in_a_text_are_not_shares() -> None:
    assert str(read("buy $1500 AAPL at 71").signal["notional"]) == "1500"
    assert str(read("symbol=AAPL action=buy price=71 notional=1500").signal["notional"]) == "1500"


def test_a_template_names_the_size_in_its_unit() -> None:
    own = {"dialect": "template", "template": Template(symbol="{s}", action="{k}", price="{p}", notional="{n}")}

    assert read({"s": "AAPL", "k": "buy", "p": 71, "n": 500}, **own).signal["notional"] == 500
    assert refusal({"s": "AAPL", "k": "close", "p": 71, "n": 500}, **own)[0] == "not_supported"


def test_a_template_does_not_skip_what_it_does_not_name() -> None:
    own = {"dialect": "template", "template": Template(symbol="{e.s}", action="{e.kind}", price="{e.p}")}
    event = {"s": "AAPL", "kind": "buy", "p": 71}
    refused = [
        {"quantity": 5},
        {"test": True},
        {"orderType": "stop"},
        {"legs": [{"strike": 1}]},
        {"in": {"tif": "ioc"}},
    ]

    for more in refused:
        assert refusal({"e": event | more}, **own)[0] == "not_supported", more
        assert refusal({"e": event} | more, **own)[0] == "not_supported", more
    assert read({"e": event | {"type": "x", "note": "y"}, "id": 1}, **own).signal["symbol"] == "AAPL"
    assert "quantity" not in read({"e": event | {"quantity": 5}}, quantity="ignore", **own).signal


def test_keys_that_were_not_read_are_shown() -> None:
    assert "not used: comment, interval" in read(ENTRY | {"comment": "breakout", "interval": "5"}).notes
    assert read(ENTRY | {"extras": {"quantity": 5}, "ticker": "AAPL"}, dialect="traderspost").notes == ()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {}),
        ({"quantity": 5}, {"quantity": "5"}),
        ({"timeInForce": "gtc", "extendedHours": True, "cancel": True}, {}),
        ({"ttl": 60, "valid_until": "2026-01-30T14:32:00Z", "exit_price": 75}, {}),
        ({"quantityType": "percent_of_position", "quantity": 100}, {}),
        ({"percent": 100}, {}),
        ({"percent": 50}, {"close_percent": "50"}),
        ({"quantity": "50%"}, {"close_percent": "50"}),
        ({"closePercent": 50}, {"close_percent": "50"}),
        ({"qty_type": "percent", "qty": 50}, {"close_percent": "50"}),
        ({"quantityType": "percent_of_position", "quantity": 50}, {"close_percent": "50"}),
    ],
)
def test_an_exit_needs_less_than_an_entry(more: dict[str, Any], expected: dict[str, Any]) -> None:
    signal = read(CLOSE | more).signal

    assert signal["intent"] == "close"
    assert {key: str(signal[key]) for key in signal if key in ("quantity", "close_percent")} == expected


@pytest.mark.parametrize(
    "more",
    [
        {"time_in_force": "ioc"},
        {"notional": 500},
        {"test": True},
        {"orderType": "stop"},
        {"orderType": "limit"},
        {"limit_price": 75},
    ],
)
def test_an_exit_that_cannot_be_carried_out_is_refused(more: dict[str, Any]) -> None:
    assert refusal(CLOSE | more)[0] == "not_supported"


def test_a_sale_of_a_share_of_the_position_closes_and_a_purchase_is_refused() -> None:
    share = {"quantityType": "percent_of_position", "quantity": 50}

    signal = read(TICKER | {"action": "sell"} | share).signal

    assert (signal["action"], signal["intent"], str(signal["close_percent"])) == ("SELL", "close", "50")
    assert refusal(TICKER | share)[0] == "not_supported"
    assert refusal(TICKER | {"action": "sell", "sentiment": "flat"} | share)[0] == "not_supported"
    assert read(CLOSE | share, quantity="ignore").signal["close_percent"] == 50


@pytest.mark.parametrize(
    ("side", "action"), [("long", "SELL"), ("short", "BUY"), ("sell", "SELL"), ("buy", "BUY"), ("close", "SELL")]
)
def test_a_close_may_name_its_side_under_a_second_key(side: str, action: str) -> None:
    assert read(CLOSE | {"side": side}).signal["action"] == action
