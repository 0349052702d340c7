"""The broker takes the fee of a purchase in coins, and the exits sell the quantity that is left."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.factories import Core
from tests.integration.limited_stage import filled, follow_to

COIN = "ETH/USD"


@pytest.fixture
def coins(core: Core) -> Core:
    """A core in which each of two strategies has bought 0.8 coins and received 0.798."""
    core.prices(**{COIN: 1000})
    for strategy in ("one", "two"):
        filled(core, COIN, strategy=strategy, quantity=0.8, entry_price=1000)
    return core


def holdings(core: Core) -> dict[str, Decimal]:
    return {row["strategy"]: row["quantity"] for row in core.rows("SELECT strategy, quantity FROM holding")}


def close(core: Core, strategy: str, **changes: object) -> Decimal:
    """Close the holding of *strategy*, or a part of it, and return the sold quantity."""
    sold = core.send(COIN, "SELL", strategy=strategy, intent="close", entry_price=None, **changes)  # type: ignore[arg-type]
    core.run(sold)
    follow_to(core, sold, "filled")
    return Decimal(core.execution(sold)["filled_quantity"])


def held(core: Core) -> Decimal:
    position = core.runtimes["argo"].broker.position(COIN)
    return Decimal(0) if position is None else position.quantity


def test_each_strategy_sells_what_it_received_and_holds_nothing_afterwards(coins: Core) -> None:
    assert held(coins) == Decimal("1.596")

    assert close(coins, "one") == Decimal("0.798")
    assert holdings(coins) == {"one": 0, "two": Decimal("0.8")}
    # A further exit of strategy `one` would sell the coins of `two`, so it is skipped.
    again = coins.run(coins.send(COIN, "SELL", strategy="one", intent="close", entry_price=None))
    assert again["reason_code"] == "no_position"
    assert close(coins, "two") == Decimal("0.798")

    assert (held(coins), holdings(coins)) == (0, {"one": 0, "two": 0})


def test_an_exit_of_a_part_carries_its_part_of_the_fee(coins: Core) -> None:
    assert close(coins, "one", close_percent=50) == Decimal("0.399")
    assert holdings(coins) == {"one": Decimal("0.4"), "two": Decimal("0.8")}

    assert close(coins, "one") == Decimal("0.399")
    assert close(coins, "two") == Decimal("0.798")

    assert (held(coins), holdings(coins)) == (0, {"one": 0, "two": 0})


def test_an_exit_that_fills_in_parts_ends_the_holding_at_its_last_fill(coins: Core) -> None:
    coins.faults({"on": "submit", "kind": "no_fill", "seconds": 600})
    sold = coins.send(COIN, "SELL", strategy="one", intent="close", entry_price=None)
    assert coins.run(sold)["quantity"] == Decimal("0.798")

    for filled_quantity, left in (("0.3", "0.49924812"), ("0.798", "0")):
        values = [filled_quantity, sold]
        coins.rows("UPDATE broker_order SET filled_quantity = %s WHERE execution_id = %s", values)
        assert holdings(coins) == {"one": Decimal(left), "two": Decimal("0.8")}


def test_an_exit_of_the_whole_account_ends_every_holding(coins: Core) -> None:
    closing = coins.intake.record_own(
        {"source_id": "1", "symbol": COIN, "action": "SELL", "intent": "close", "executors": ["argo"]}, cause="flatten"
    ).executions[0]
    coins.run(closing.execution_id)
    follow_to(coins, closing.execution_id, "filled")

    assert (held(coins), holdings(coins)) == (0, {"one": 0, "two": 0})


def test_coins_that_someone_else_sold_are_not_taken_for_a_fee(coins: Core) -> None:
    coins.rows("UPDATE holding SET changed_at = now() - interval '1 minute'")
    coins.rows("UPDATE holding SET quantity = 1 WHERE strategy = 'two'")

    assert close(coins, "one") == Decimal("0.8")

    assert holdings(coins) == {"one": 0, "two": 1}
