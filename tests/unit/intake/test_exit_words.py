from __future__ import annotations

from typing import Any

import pytest

from pipeline.intake.exit_words import reads_as_exit


@pytest.mark.parametrize(
    "raw",
    [
        {"symbol": "AAPL", "action": "SELL", "quantity": "1,5"},
        {"symbol": "AAPL", "action": "close", "percent": "x"},
        {"ticker": "AAPL", "action": "buy", "sentiment": "flat"},
        {"ticker": "AAPL", "action": "Exit Long"},
        {"ticker": "AAPL", "action": "exit_short"},
        {"symbol": "AAPL", "action": "BUY", "intent": "close", "notional": 5},
        {"symbol": "AAPL", "action": "buy", "reduceOnly": True, "orderType": "stop"},
        {"symbol": "AAPL", "side": "buy", "close_percent": 200},
        {"strategy": {"order": {"id": "Close entry(s) order Long"}}},
        {"legs": [{"action": "sell_to_close"}]},
        '{"symbol": "AAPL", "action": "close",}',
        '{"symbol": "AAPL", "action": "sell", "price": "{{close}}"',
        {"symbol": "AAPL", "action": "FLAT", "quantity": 2},
        {"symbol": "AAPL", "action": "REVERSE", "price": "71", "sl": 65},
        {"symbol": "AAPL", "action": "flip"},
        "closelong AAPL qty=50%",
        "60123456789,closelong,EURUSD",
        "action=sell symbol=AAPL test=true",
        "exit AAPL now",
        {"action": "closePosition"},
        {"action": "closesell"},
        {"action": "liquidate"},
        {"action": "STC"},
        "unwind AAPL",
        {"action": "trim"},
        {"action": "scale out"},
        {"action": "scale_out"},
        {"action": "reduce"},
        {"comment": "stopped out"},
        {"action": "take_profit"},
        {"action": "TakeProfit"},
        {"action": "buy", "closePosition": True},
        {"order": {"action": "buy", "close_all": "yes"}},
        {"action": "buy", "market_position": "short"},
        {"strategy": {"order": {"action": "BUY"}, "prev_market_position": "short", "market_position": "long"}},
        {"side": "buy", "positionSide": "SHORT"},
        {"action": "buy", "close_percent": {"value": 50}},
        {"action": "buy", "close_percent": "0.5"},
        "symbol=AAPL action=buy reduce_only=true orderType=stop",
        "symbol=AAPL action=buy market_position=short sl=1,5",
    ],
    ids=str,
)
def test_what_may_be_an_exit_reads_as_one(raw: Any) -> None:
    assert reads_as_exit(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"symbol": "AAPL", "action": "BUY", "price": "{{close}}"},
        {"symbol": "AAPL", "action": "buy", "close": 190, "reduce_only": False},
        {"symbol": "AAPL", "action": "sell_short"},
        {"symbol": "AAPL", "action": "buy", "sentiment": "long", "close_percent": None},
        '{"symbol": "AAPL", "action": "buy", "close": 190,}',
        "symbol=AAPL action=buy close=190",
        "buy AAPL at {{close}}",
        {"action": "buy", "closePosition": "false", "reduceOnly": 0, "close_all": "", "exitAll": []},
        {"action": "buy", "market_position": "long", "take_profit": 80},
        {"action": "short", "market_position": "short"},
        {"symbol": "BTC/USD", "action": "buy"},
        "symbol=AAPL action=buy reduce_only=false take_profit=80",
        "buy AAPL at 71 take profit 80",
        "",
        None,
        5,
        [[[]]],
    ],
    ids=str,
)
def test_an_entry_does_not(raw: Any) -> None:
    assert not reads_as_exit(raw)


def test_a_file_is_no_exit_by_its_name() -> None:
    unreadable = {"source_id": "exits.jsonl:1:ab", "path": "/signals/close-all.jsonl", "line": 1}

    assert not reads_as_exit(unreadable | {"unreadable": '{"action": "BUY",'})
    assert reads_as_exit(unreadable | {"unreadable": '{"action": "BUY", "close_percent": 50,'})
    assert reads_as_exit({"action": "SELL", "unreadable": None})
