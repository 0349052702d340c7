from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.factories import Core, executor_toml, until
from workers.keeper.account_controls import account_controls_of

# The day after Thanksgiving: the market closes at 13:00 in New York.
NOON, LATE, OVER = "2026-11-27T17:00:00Z", "2026-11-27T17:55:00Z", "2026-11-27T18:05:00Z"


@pytest.fixture
def firm(make_core: Callable[..., Core]) -> Core:
    """An account with shares and coins, at noon of a half day, at a firm that allows no shares overnight."""
    core = make_core(executor_toml() + "[executors.argo.firm]\nflat_before_close_s = 600\n")
    core.exchange.admin("clock", {"mode": "fixed", "now": NOON})
    core.prices(AAPL=100, **{"BTC/USD": 100})
    for symbol in ("AAPL", "BTC/USD"):
        execution = core.send(symbol)
        core.run(execution)
        until(lambda execution=execution: core.follower().run_once() or core.state(execution) == "filled")
    return core


def look(core: Core) -> None:
    """Run the keeper's account controls once, after a new reading of the clock."""
    core.rows("DELETE FROM account_snapshot")
    account_controls_of(core.record, core.intake, core.runtimes["argo"], who="test keeper").run_once()


def exits(core: Core) -> list[dict[str, Any]]:
    return core.rows(
        "SELECT e.*, s.source_id FROM execution e JOIN signal s USING (signal_id) WHERE s.source LIKE %s",
        ["tradewire:%"],
    )


def test_shares_are_closed_before_the_half_days_end_and_coins_are_not(firm: Core) -> None:
    look(firm)
    assert exits(firm) == []
    firm.prices(MSFT=110)
    entry = firm.send("MSFT")
    assert firm.run(entry)["state"] == "accepted"
    firm.exchange.admin("clock", {"mode": "fixed", "now": LATE})

    look(firm)
    look(firm)

    [exit_] = exits(firm)
    assert exit_["symbol"] == "AAPL"
    assert exit_["source_id"].endswith("-2026-11-27T18:00Z-AAPL-1")
    firm.run(exit_["execution_id"])
    for execution, state in ((exit_["execution_id"], "filled"), (entry, "canceled")):
        until(lambda e=execution, s=state: firm.follower().run_once() or firm.state(e) == s)
    look(firm)
    assert len(exits(firm)) == 1
    assert [each.symbol for each in firm.runtimes["argo"].broker.positions()] == ["BTC/USD"]
    refused = firm.run(firm.send("AAPL"))
    assert (refused["state"], refused["reason_code"]) == ("skipped", "flat_by_time")


def test_after_the_close_it_is_too_late_to_close_anything(firm: Core) -> None:
    firm.exchange.admin("clock", {"mode": "fixed", "now": OVER})

    look(firm)

    assert exits(firm) == []
