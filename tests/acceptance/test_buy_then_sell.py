"""An account is flat after a BUY and a SELL, although the SELL arrives while the BUY may still fill."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate
from typing import Any

import httpx
import pytest

from tests.acceptance.concurrent_workers import (
    SYMBOLS,
    executors,
    fix_prices,
    positions,
    price_of,
    reasons,
    send_at_once,
    settle,
    start_workers,
)
from tests.core_fixtures import Processes
from tests.factories import Core, signal, until

MakeCore = Callable[..., Core]
Fault = dict[str, Any]

BOUGHT = 10
#: The faults of the BUY orders, one per symbol; the seconds count from the order's arrival at the exchange.
BUYS: list[Fault] = [
    *({"kind": "no_fill", "seconds": 1.7 + 0.1 * step} for step in range(18)),
    *({"kind": "partial_fill", "seconds": 1.7 + 0.2 * step} for step in range(10)),
    *({"kind": "latency", "seconds": 0.4 * step} for step in range(1, 9)),
    *({"kind": kind, "seconds": 1.2} for kind in ["silence_before", "silence_after"]),
    {"kind": "no_fill", "seconds": 0},
    {"kind": "late_reject"},
    *({"kind": kind} for kind in ["drop_before", "drop_after", "5xx_before", "5xx_after", "garbage", "reject"]),
    *({"kind": "partial_fill", "seconds": seconds} for seconds in [0.1, 60]),
    *({"kind": "no_fill", "seconds": seconds} for seconds in [0.1, 60]),
]
SOLD = SYMBOLS[: len(BUYS)]
#: The faults of the SELL orders. The symbols get them in turn; None means no fault.
SELLS: list[Fault | None] = [
    None,
    {"kind": "no_fill", "seconds": 1},
    {"kind": "partial_fill", "seconds": 1},
    {"kind": "late_reject"},
    {"kind": "drop_after"},
    {"kind": "5xx_before"},
    {"kind": "latency", "seconds": 0.5},
]
CANCELS: list[Fault] = [
    {"on": "cancel", "kind": "latency", "seconds": 0.4, "probability": 0.3},
    {"on": "cancel", "kind": "drop_after", "probability": 0.2},
    {"on": "cancel", "kind": "5xx_before", "probability": 0.2},
]

_TWO_SECONDS_OLD = "SELECT symbol FROM broker_order WHERE intended_at < clock_timestamp() - interval '2 seconds'"
#: Executions that have neither an order id nor a reason.
_SILENT = (
    "SELECT e.* FROM execution e LEFT JOIN broker_order o USING (execution_id) "
    "WHERE o.order_id IS NULL AND e.reason_code IS NULL"
)


def faults_of(found: list[Fault | None]) -> list[Fault]:
    """Return a fault for each symbol, taken from *found* in turn; none for None. Each fault happens once."""
    return [
        {"on": "submit", "symbol": symbol, "count": 1} | fault
        for number, symbol in enumerate(SOLD)
        if (fault := found[number % len(found)]) is not None
    ]


def fills(core: Core) -> dict[str, list[Decimal]]:
    """Return the filled quantities of each symbol at the exchange in order of time; a sale is negative."""
    headers = {"APCA-API-KEY-ID": "argo", "APCA-API-SECRET-KEY": "paper-exchange"}
    found: list[dict[str, Any]] = []
    while True:
        query = {"direction": "asc", "page_size": 100} | ({"page_token": found[-1]["id"]} if found else {})
        page = httpx.get(f"{core.exchange.url}/v2/account/activities/FILL", headers=headers, params=query).json()
        found += page
        if len(page) < 100:
            break
    traded: dict[str, list[Decimal]] = {}
    for fill in found:
        quantity = Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1)
        traded.setdefault(fill["symbol"], []).append(quantity)
    return traded


def sell_two_seconds_later(core: Core) -> None:
    """Send each SELL two seconds after the order of its BUY was recorded; begin when all BUY orders are recorded."""
    until(lambda: len(core.rows("SELECT symbol FROM broker_order")) == len(SOLD), within_s=30)
    core.faults(*faults_of(SELLS), *CANCELS)
    left = set(SOLD)
    while left:
        due = left.intersection(row["symbol"] for row in core.rows(_TWO_SECONDS_OLD))
        left -= due
        send_at_once(core, [signal(symbol, "SELL", entry_price=price_of(symbol)) for symbol in due])
        time.sleep(0.02)


def sell_all_the_time(core: Core) -> None:
    """Send one SELL after the other while the BUY orders are still being recorded."""
    core.faults(*core.exchange.admin("faults")["faults"], *CANCELS)
    for symbol in SOLD:
        send_at_once(core, [signal(symbol, "SELL", entry_price=price_of(symbol))])
        time.sleep(0.06)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("sell", [sell_two_seconds_later, sell_all_the_time])
def test_a_sell_after_its_buy_ends_flat_whatever_the_buy_does_meanwhile(
    make_core: MakeCore, processes: Processes, sell: Callable[[Core], None]
) -> None:
    core = make_core(executors(size={"method": "quantity", "value": BOUGHT}))
    fix_prices(core)
    start_workers(core, processes, 6)
    core.faults(*faults_of([*BUYS]))
    assert len(SOLD) == 50

    send_at_once(core, [signal(symbol, entry_price=price_of(symbol)) for symbol in SOLD])
    sell(core)
    settle(core)

    assert positions(core) == {}
    for symbol, traded in fills(core).items():
        held = list(accumulate(traded))
        assert min(held) >= 0, (symbol, traded)
        assert max(held) <= BOUGHT, (symbol, traded)
    bought = [order["symbol"] for order in core.orders() if order["side"] == "buy"]
    assert len(bought) == len(set(bought))
    assert core.rows(_SILENT) == []
    assert core.rows("SELECT * FROM holding WHERE quantity <> 0") == []
    # The faults must have led to each of these ends; otherwise the test would not have covered it.
    assert {"filled", "no_position"} <= set(reasons(core))
    assert {"filled", "canceled"} <= {order["status"] for order in core.orders() if order["side"] == "buy"}
