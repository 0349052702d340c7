"""An order that the broker would refuse is not sent, and an order that it refuses is not a fill."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pipeline.views.report import report
from tests.factories import Core, executor_toml, until

Make = Callable[..., Core]
MONDAY, MONDAY_EVENING = "2026-11-23T10:00:00-05:00", "2026-11-23T21:00:00-05:00"


@pytest.fixture
def crypto(core: Core) -> Core:
    """A core at an exchange where one bitcoin costs 1000."""
    core.exchange.admin("prices", {"BTC/USD": "1000"})
    return core


def bought(core: Core, symbol: str, quantity: str) -> None:
    """Buy, and wait until the record knows that it is filled."""
    execution_id = core.send(symbol, quantity=quantity, entry_price=1000)
    core.run(execution_id)
    until(lambda: core.follower().run_once() or core.state(execution_id) == "filled")


def test_crypto_orders_are_good_till_canceled(crypto: Core) -> None:
    execution = crypto.run(crypto.send("BTC-USD", entry_price=1000))

    assert execution["order_id"] is not None
    assert [(order["symbol"], order["time_in_force"]) for order in crypto.orders()] == [("BTC/USD", "gtc")]


@pytest.mark.parametrize("order", ["", "allow_short = true"])
def test_crypto_that_is_not_owned_is_not_sold(make_core: Make, order: str) -> None:
    core = make_core(executor_toml(order=order))
    core.exchange.admin("prices", {"BTC/USD": "1000"})

    execution = core.run(core.send("BTC/USD", "SELL", entry_price=1000))

    assert (execution["state"], execution["reason_code"]) == ("skipped", "no_position")
    assert core.orders() == []


def test_crypto_is_sized_on_settled_cash_and_never_on_margin(crypto: Core) -> None:
    crypto.exchange.admin("accounts", {"key": "argo", "cash": "10000"})
    crypto.runtimes["argo"].snapshots.read()
    account = crypto.runtimes["argo"].broker.account()
    assert account.buying_power > account.non_marginable_buying_power

    execution = crypto.run(crypto.send("BTC/USD", entry_price=1000, quantity=15))

    cost = execution["quantity"] * execution["reference_price"]
    assert account.non_marginable_buying_power * Decimal("0.99") < cost <= account.non_marginable_buying_power


@pytest.mark.parametrize("written", ["BTC-USD", "BTCUSD", "btc/usd"])
def test_every_spelling_of_a_pair_becomes_the_symbol_of_the_broker(crypto: Core, written: str) -> None:
    crypto.run(crypto.send(written, entry_price=1000))

    assert [order["symbol"] for order in crypto.orders()] == ["BTC/USD"]


def test_an_account_without_crypto_gets_the_words_of_the_broker_and_still_trades_shares(crypto: Core) -> None:
    crypto.faults({"on": "submit", "kind": "reject", "symbol": "BTC/USD", "message": "crypto is not enabled"})

    refused, shares = crypto.run(crypto.send("BTC/USD", entry_price=1000)), crypto.run(crypto.send())

    assert (refused["state"], refused["reason_facts"]["says"]) == ("rejected", "crypto is not enabled")
    assert shares["order_id"] is not None


def test_half_a_coin_is_closed_as_half_a_coin(crypto: Core) -> None:
    bought(crypto, "BTC/USD", "0.5")
    held = crypto.runtimes["argo"].broker.position("BTC/USD")
    assert held is not None

    closed = crypto.run(crypto.send("BTC/USD", "SELL", entry_price=1000))

    assert Decimal("0.4") < held.quantity <= Decimal("0.5")
    assert closed["quantity"] == held.quantity
    until(lambda: crypto.runtimes["argo"].broker.position("BTC/USD") is None)


def test_a_crypto_position_is_found_under_each_name_that_the_broker_gives_it(make_core: Make) -> None:
    core = make_core(executor_toml().replace('pyramiding = "off"', "pyramiding = 1"))
    core.exchange.admin("prices", {"BTC/USD": "1000"})
    bought(core, "BTC/USD", "2")
    core.runtimes["argo"].snapshots.read()

    again = core.run(core.send("BTC-USD", entry_price=1000))
    closed = core.run(core.send("BTC-USD", "SELL", entry_price=1000))

    assert again["reason_code"] == "pyramiding_limit"
    assert (closed["role"], closed["side"]) == ("exit", "sell")


def test_an_order_that_is_rejected_late_is_rejected_and_not_a_fill(core: Core) -> None:
    core.faults({"on": "submit", "kind": "late_reject"})
    execution_id = core.send()
    core.run(execution_id)

    until(lambda: core.follower().run_once() or core.state(execution_id) == "rejected")

    assert core.execution(execution_id)["reason_code"] == "rejected_by_broker"
    counted = report(core.record).to_json()["by_executor"]["argo"]["exchange"]
    assert (counted["by_status"], counted["fill_rate"]) == ({"rejected": 1}, 0.0)


@pytest.mark.parametrize(
    ("flags", "action", "code"),
    [
        ({"tradable": False}, "BUY", "asset_not_tradable"),
        ({"exists": False}, "BUY", "asset_not_tradable"),
        ({"shortable": False}, "SELL", "no_shorting"),
    ],
)
def test_an_order_that_the_asset_does_not_allow_is_not_sent(
    make_core: Make, flags: dict[str, bool], action: str, code: str
) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(TSLA=100)
    core.exchange.admin("assets", {"TSLA": flags})

    assert core.run(core.send("TSLA", action))["reason_code"] == code
    assert core.orders() == []


@pytest.mark.parametrize("says", ["potential wash trade detected", "denied: pattern day trading protection"])
def test_a_rejection_that_only_the_broker_can_know_ends_with_its_words(core: Core, says: str) -> None:
    core.faults({"on": "submit", "kind": "reject", "message": says})

    execution = core.run(core.send())

    assert (execution["state"], execution["reason_facts"]["says"]) == ("rejected", says)


def test_a_partial_fill_is_recorded_as_partial_and_followed_to_its_end(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 0.5})
    execution_id = core.send(quantity=10)
    core.run(execution_id)

    until(lambda: core.follower().run_once() or core.state(execution_id) == "partially_filled")
    until(lambda: core.follower().run_once() or core.state(execution_id) == "filled")

    assert core.execution(execution_id)["filled_quantity"] == 10


def test_a_day_order_that_the_close_ends_is_expired_and_not_executed(core: Core) -> None:
    core.exchange.admin("clock", {"mode": "fixed", "now": MONDAY})
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "accepted"

    core.exchange.admin("clock", {"mode": "fixed", "now": MONDAY_EVENING})

    until(lambda: core.follower().run_once() or core.state(execution_id) == "expired")
    assert core.execution(execution_id)["reason_code"] == "expired_at_broker"
