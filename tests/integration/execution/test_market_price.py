"""When an entry has the price "market", the worker reads the price, once and while the market is open."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.errors import InvalidSignal
from tests.factories import Core

MARKET = {"symbol": "BTC/USD", "action": "BUY", "confidence": 98, "price": "market", "quantity": "0.5"}


def test_it_is_ordered_at_the_markets_price_and_the_collar(core: Core) -> None:
    core.prices(**{"BTC/USD": 200})

    row = core.run(core.record_signal(MARKET).execution_id)

    assert row["state"] in ("accepted", "filled")
    (order,) = core.orders()
    assert (order["side"], Decimal(order["limit_price"]), order["qty"]) == ("buy", 201, "0.5")


def test_money_is_divided_by_the_limit_at_the_markets_price(core: Core) -> None:
    core.prices(**{"BTC/USD": 200})
    raw = {key: value for key, value in MARKET.items() if key != "quantity"} | {"notional": 402}

    core.run(core.record_signal(raw).execution_id)

    assert Decimal(core.orders()[0]["qty"]) == 2


def test_without_a_price_it_waits_and_goes_when_there_is_one(core: Core) -> None:
    core.prices(**{"BTC/USD": 200})
    core.faults({"on": "prices", "kind": "5xx_before", "count": 1})
    execution_id = core.record_signal(MARKET).execution_id

    first = core.run(execution_id)
    core.due_now(execution_id)
    then = core.run(execution_id)

    assert (first["state"], first["reason_code"]) == ("held", "price_unknown")
    assert then["state"] in ("accepted", "filled")


def test_a_sale_at_the_market_that_closes_needs_no_price(core: Core) -> None:
    core.prices(**{"BTC/USD": 200})
    core.run(core.record_signal(MARKET).execution_id)
    core.filled_at_exchange()
    core.follower().run_once()
    core.faults({"on": "prices", "kind": "5xx_before", "count": 9})

    core.run(core.record_signal(MARKET | {"action": "SELL"}).execution_id)

    assert [(order["side"], order["type"]) for order in core.orders()] == [("buy", "limit"), ("sell", "market")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry_price": 100},
        {"price": "limit"},
        {"price": 100},
        {"intent": "close"},
        {"confidence": None},
    ],
    ids=str,
)
def test_two_prices_and_other_words_are_refused(core: Core, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignal):
        core.record_signal(MARKET | wrong)
