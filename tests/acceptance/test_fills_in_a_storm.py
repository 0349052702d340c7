"""Partial fills, cancels and a broken stream: the record ends with the exchange's fills, to the last decimal."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import httpx
import pytest

from config.schema.broker_hosts import EXCHANGE_SECRET
from tests.acceptance.stage import every
from tests.acceptance.system import System, a_signal, symbols
from tests.waiting import patience

MakeSystem = Callable[..., System]

#: STORM_ORDERS sets a larger number for a run by hand, such as 1000: so many orders at each of the two executors.
ORDERS = int(os.environ.get("STORM_ORDERS", "60"))
EXECUTORS = ("argo", "prop_firm")
SYMBOLS = symbols(ORDERS // 2)
WITHIN_S = max(120.0, 0.6 * ORDERS)
FAULTS = [
    {"on": "submit", "kind": "partial_fill", "seconds": 2, "probability": 0.4},
    {"on": "submit", "kind": "no_fill", "seconds": 4, "probability": 0.3},
    {"on": "stream", "kind": "drop_event", "probability": 0.2},
    {"on": "stream", "kind": "double_event", "probability": 0.2},
    {"on": "stream", "kind": "late_event", "seconds": 5, "probability": 0.2},
]
_SIX_DECIMALS = Decimal("0.000001")


def move_and_cancel(one: System, dice: random.Random) -> None:
    """Move the price of some symbols, and cancel a tenth of the open orders at the exchange, as a person does there."""
    one.admin("prices", {symbol: str(20 + Decimal(dice.randrange(-30, 10)) / 100) for symbol in SYMBOLS[::3]})
    chosen = [
        (name, order["id"])
        for name in EXECUTORS
        for order in one.orders(name)
        if order["status"] in ("new", "partially_filled") and dice.random() < 0.1
    ]
    url = one.services()["exchange_url"]
    with httpx.Client(base_url=url, timeout=patience(10), trust_env=False, verify=False) as client:
        for name, order_id in chosen:
            login = {"APCA-API-KEY-ID": name, "APCA-API-SECRET-KEY": EXCHANGE_SECRET}
            # 422: it was filled meanwhile.
            assert client.delete(f"/v2/orders/{order_id}", headers=login).status_code in (204, 422)


def lines(one: System, what: str) -> list[dict[str, Any]]:
    """Return the rows that `tradewire export` prints."""
    return [json.loads(line) for line in one.run("export", what, "--json").stdout.splitlines()]


def averages(one: System) -> dict[str, Decimal]:
    """Return the average price of the recorded fills of each order, by the client order id, with six decimals."""
    value: defaultdict[str, Decimal] = defaultdict(Decimal)
    quantity: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in lines(one, "fills"):
        size = Decimal(fill["quantity"])
        value[fill["client_order_id"]] += size * Decimal(fill["price"])
        quantity[fill["client_order_id"]] += size
    return {name: (value[name] / quantity[name]).quantize(_SIX_DECIMALS) for name in quantity}


@pytest.mark.timeout(2 * WITHIN_S + 120)
@pytest.mark.parametrize("tracks", [True, False], ids=["with_the_stream", "without_the_stream"])
def test_after_a_storm_every_order_has_the_fills_of_the_exchange(system: MakeSystem, *, tracks: bool) -> None:
    dice = random.Random(ORDERS)
    without = () if tracks else ("--without", "tracker")
    one = system(executors="config/executors.load.toml").up("--source", "none", *without)
    one.admin("prices", dict.fromkeys(SYMBOLS, "20"))
    one.admin("faults", {"faults": FAULTS})
    bought = [a_signal(symbol, quantity=dice.randrange(2, 20)) for symbol in SYMBOLS]
    sold = [a_signal(symbol, action="SELL") for symbol in SYMBOLS]

    with ExitStack() as storm:
        storm.enter_context(every(1, lambda: move_and_cancel(one, dice)))
        if tracks:
            storm.enter_context(every(10, lambda: os.kill(one.pid("tracker"), signal.SIGKILL)))
        for batch in (bought, sold):
            answers = one.send(batch)
            assert all("signal_id" in answer for answer in answers)
            one.until(one.all_ended, within_s=WITHIN_S, what="every order has ended")
    one.admin("faults", {"faults": []})
    one.until(one.all_ended, within_s=WITHIN_S, what="every order has ended, exits that were canceled included")

    theirs: dict[str, Any] = {order["client_order_id"]: order for name in EXECUTORS for order in one.orders(name)}

    def differences() -> list[str]:
        ours = {order["client_order_id"]: order for order in lines(one, "orders")}
        paid = averages(one)
        return [
            f"{name}: {ours.get(name)}, average {paid.get(name)}, at the exchange {order}"
            for name, order in theirs.items()
            if name not in ours
            or ours[name]["order_status"] != order["status"]
            or Decimal(ours[name]["filled_quantity"]) != Decimal(order["filled_qty"])
            or paid.get(name) != (Decimal(order["filled_avg_price"]) if order["filled_avg_price"] else None)
        ]

    one.until(lambda: not differences(), within_s=30, what="the record agrees with the exchange")
    statuses = {order["status"] for order in theirs.values()}
    assert len(theirs) >= 2 * ORDERS * 0.9
    assert {"filled", "canceled"} <= statuses
    assert any(0 < Decimal(order["filled_qty"]) < Decimal(order["qty"]) for order in theirs.values())
    assert_profit(one)


def assert_profit(one: System) -> None:
    """Check that the profit of all trades is the change of the exchange's cash: all positions are closed."""
    state = {account["key"]: account for account in one.admin("state")["accounts"]}
    trades = lines(one, "trades")
    for name in EXECUTORS:
        assert state[name]["positions"] == {}
        profit = sum((Decimal(trade["realised"]) for trade in trades if trade["executor_id"] == name), Decimal(0))
        assert profit == Decimal(state[name]["cash"]) - 100_000
