"""Exits that the broker accepts only as another order type, or not at all, at the real paper exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.monitoring.alerts.exit_conditions import dust
from tests.factories import Core, executor_toml
from tests.integration.execution.test_blocked_exits import follow_up, follow_ups, ours, runs_until
from tests.integration.limited_stage import MONDAY, MONDAY_EVENING, clock, filled, follow_to

MakeCore = Callable[..., Core]


@pytest.fixture
def core(make_core: MakeCore) -> Core:
    """A core that buys fractions."""
    core = make_core(executor_toml().replace('method = "quantity"', 'fractional = true\nmethod = "quantity"'))
    core.prices(AAPL=100)
    return core


def assets(core: Core, **flags: Any) -> None:
    """Change an asset at the exchange, and delete its stored data."""
    core.exchange.admin("assets", {"AAPL": flags})
    core.rows("DELETE FROM asset")
    core.runtimes["argo"].assets._kept.clear()


def sold(core: Core, **changes: Any) -> dict[str, Any]:
    row = core.run(execution_id := core.send("AAPL", "SELL", **changes))
    if row["state"] == "accepted":
        follow_to(core, execution_id, "filled")
    return core.execution(execution_id)


def subjects(core: Core) -> list[str]:
    return [each.subject for each in core.record.run(lambda connection: dust(connection, {})).raised]


def test_a_fraction_of_an_asset_that_is_traded_whole_is_named_and_left(core: Core) -> None:
    filled(core, quantity=1.65)
    assets(core, fractionable=False)

    row = sold(core)

    assert (row["state"], row["reason_code"], row["reason_facts"]) == ("filled", "dust", {"dust": "0.65"})
    assert ours(core)[1:] == [("sell", "1", "filled")]
    follow_ups(core)
    assert core.rows("SELECT source_id FROM signal WHERE source = 'tradewire:exit'") == []
    row = sold(core)
    assert (row["state"], row["reason_code"], row["reason_facts"]["dust"]) == ("skipped", "dust", "0.65")
    assert subjects(core) == ["0.65 AAPL at argo is left: the broker takes no order of it"] * 2


def test_a_refused_fraction_is_sent_whole_when_the_asset_data_are_wrong(core: Core) -> None:
    filled(core, quantity=1.65)
    core.exchange.admin("assets", {"AAPL": {"fractionable": False}})

    row = sold(core)
    assert (row["state"], row["reason_facts"]["refused"]) == ("rejected", "not_fractionable")
    further = follow_up(core)["execution_id"]
    runs_until(core, further, "accepted", "filled")
    follow_to(core, further, "filled")

    assert ours(core)[1:] == [("sell", "1", "filled")]
    assert core.execution(further)["reason_facts"] == {"dust": "0.65"}
    assert sold(core)["state"] == "skipped"


def test_a_fraction_out_of_hours_goes_at_the_open(core: Core) -> None:
    filled(core, quantity=2.5)
    assets(core, fractional_eh=False)
    clock(core, MONDAY_EVENING.replace("21:", "17:"))
    core.rows("DELETE FROM account_snapshot")

    row = sold(core, entry_price=90)
    further = follow_up(core)
    held = runs_until(core, further["execution_id"], "held")

    assert (row["state"], row["reason_code"], ours(core)[1:]) == ("filled", None, [("sell", "2", "filled")])
    assert (further["quantity"], held["reason_code"]) == (0.5, "market_closed")
    clock(core, MONDAY.replace("23T", "24T"))
    core.rows("DELETE FROM account_snapshot")
    runs_until(core, further["execution_id"], "accepted", "filled")
    follow_to(core, further["execution_id"], "filled")
    assert [order[:2] for order in ours(core)] == [("buy", "2.5"), ("sell", "2"), ("sell", "0.5")]


def test_a_fraction_alone_out_of_hours_waits_for_the_open(core: Core) -> None:
    filled(core, quantity=0.5)
    assets(core, fractional_eh=False)
    clock(core, MONDAY_EVENING.replace("21:", "17:"))
    core.rows("DELETE FROM account_snapshot")

    row = sold(core, entry_price=90)

    assert (row["state"], row["reason_code"], len(ours(core))) == ("held", "market_closed", 1)


def test_an_exit_below_the_brokers_least_is_sent_once_and_ends(core: Core) -> None:
    core.prices(**{"ETH/USD": 2000})
    bought = core.send("ETH/USD", entry_price=2000, quantity=0.005)
    core.run(bought)
    follow_to(core, bought, "filled")

    row = core.run(core.send("ETH/USD", "SELL", entry_price=2000))
    follow_ups(core)

    assert (row["state"], row["reason_code"], row["reason_facts"]["dust"]) == ("skipped", "dust", "0.0049875")
    assert row["reason_facts"]["says"] == "cost basis must be >= minimal amount of order 10"
    assert core.rows("SELECT source_id FROM signal WHERE source = 'tradewire:exit'") == []
    assert [each["outcome"] for each in core.rows("SELECT outcome FROM attempt")] == ["accepted", "rejected"]
    assert len(subjects(core)) == 1


def test_a_coin_is_sold_in_the_steps_of_its_pair(core: Core) -> None:
    core.exchange.admin("assets", {"ETH/USD": {"min_trade_increment": "0.001"}})
    core.prices(**{"ETH/USD": 2000})
    bought = core.send("ETH/USD", entry_price=2000, quantity=0.5)
    core.run(bought)
    follow_to(core, bought, "filled")

    core.run(execution_id := core.send("ETH/USD", "SELL", entry_price=2000))
    follow_to(core, execution_id, "filled")

    # The broker took the fee in coins, so the account holds 0.49875.
    assert ours(core)[1:] == [("sell", "0.498", "filled")]
    assert core.execution(execution_id)["reason_facts"] == {"dust": "0.00075"}
