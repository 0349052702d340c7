"""The limits on rejections in a row and on orders per day, with a real record and paper exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.factories import Core
from tests.integration.limited_stage import changed_toml

Make = Callable[..., Core]


@pytest.fixture
def core(make_core: Make) -> Core:
    return make_core(changed_toml(pyramiding='"off"\nconsecutive_rejections = 2\norders_per_day = 6'))


def run(core: Core, symbol: str, **changes: Any) -> UUID:
    execution_id = core.send(symbol, **changes)
    core.run(execution_id)
    return execution_id


def refused(core: Core, symbol: str) -> UUID:
    """Send an entry that the broker rejects, because it stopped trading the asset after tradewire read it."""
    core.exchange.admin("assets", {symbol: {"tradable": True}})
    core.runtimes["argo"].assets.get(symbol)
    core.exchange.admin("assets", {symbol: {"tradable": False}})
    execution_id = run(core, symbol)
    core.exchange.admin("assets", {symbol: None})
    assert core.state(execution_id) == "rejected"
    return execution_id


def a_minute_passes(core: Core) -> None:
    """Make all attempts so far older than a minute."""
    core.rows("UPDATE execution SET decided_at = decided_at - interval '61 s' WHERE decided_at IS NOT NULL")
    core.rows("UPDATE broker_order SET intended_at = intended_at - interval '61 s'")


def test_entries_wait_after_refusals_in_a_row_and_one_a_minute_finds_out(core: Core) -> None:
    refused(core, "QA")
    refused(core, "QB")

    waiting = run(core, "AAPL")
    assert (core.state(waiting), core.execution(waiting)["reason_code"]) == ("held", "rejections_in_a_row")
    assert core.execution(waiting)["reason_facts"]["rejections"] == 2

    a_minute_passes(core)
    # This entry is the only one that is tried in this minute, and its answer is missing.
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    probe = run(core, "MSFT")
    assert core.state(probe) == "unknown"
    core.due_now(waiting)
    core.run(waiting)
    assert (core.state(waiting), core.execution(waiting)["reason_code"]) == ("held", "rejections_in_a_row")

    a_minute_passes(core)
    core.due_now(waiting)
    core.run(waiting)
    assert core.execution(waiting)["order_id"] is not None
    # The broker accepted an entry, so the others do not wait any longer.
    assert core.execution(run(core, "IBM"))["order_id"] is not None


def test_an_exit_goes_while_entries_wait(core: Core) -> None:
    run(core, "AAPL")
    core.filled_at_exchange()
    core.follower().run_once()
    refused(core, "QA")
    refused(core, "QB")

    assert core.execution(run(core, "AAPL", action="SELL"))["order_id"] is not None


def test_the_limit_of_entries_per_day_holds_without_a_keeper(core: Core) -> None:
    for symbol in ("QA", "QB", "QC", "QD", "QE", "QF"):
        assert core.execution(run(core, symbol))["order_id"] is not None

    last = core.execution(run(core, "QG"))
    assert (last["state"], last["reason_code"]) == ("skipped", "orders_per_day_limit")
    assert last["reason_facts"] == {"limit": 6, "ordered": 6}
