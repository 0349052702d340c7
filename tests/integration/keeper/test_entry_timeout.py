"""A working entry is canceled after `order.entry_timeout_s` of open market; a part that filled stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.model.reasons import Code
from tests.factories import Core, until
from tests.integration.keeper.test_hours import reread, toml, turn
from tests.integration.keeper.test_stops import bought, followed, resting, stops
from workers.execution.cancels import ask_to_cancel

pytestmark = pytest.mark.timeout(60)


def older(core: Core, seconds: int) -> None:
    """Make the entries' sends this much older."""
    core.rows("UPDATE broker_order SET first_sent_at = first_sent_at - make_interval(secs => %s)", [seconds])


def is_asked(core: Core) -> bool:
    return bool(core.rows("SELECT 1 FROM broker_order WHERE cancel_asked_at IS NOT NULL"))


def test_an_entry_is_canceled_after_its_time_and_says_so(core: Core) -> None:
    entry = resting(core)
    older(core, 50)
    stops(core).run_once()
    assert not is_asked(core)

    older(core, 11)
    stops(core).run_once()

    followed(core, entry, "canceled")
    assert core.execution(entry)["reason_code"] == Code.ENTRY_TIMEOUT


def test_a_part_that_filled_stays(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600})
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10)
    core.run(entry)
    followed(core, entry, "partially_filled")
    older(core, 61)

    stops(core).run_once()

    followed(core, entry, "canceled")
    [order] = core.rows("SELECT filled_quantity FROM broker_order")
    assert (core.execution(entry)["reason_code"], order["filled_quantity"]) == (Code.ENTRY_TIMEOUT, Decimal(5))


def test_an_exit_is_not_canceled(core: Core) -> None:
    bought(core)
    core.prices(AAPL=50)
    sale = core.send("AAPL", "SELL")
    assert until(lambda: core.due_now(sale) or core.run(sale))["state"] == "accepted"
    older(core, 3600)

    stops(core).run_once()

    assert not is_asked(core)


def test_a_cancel_that_was_asked_for_another_reason_keeps_that_reason(core: Core) -> None:
    entry = resting(core)
    [order] = core.rows("SELECT order_id FROM broker_order")
    runtime = core.runtimes["argo"]
    core.faults({"on": "cancel", "kind": "5xx_before", "count": 1})
    ask_to_cancel(core.record, runtime.urgent, order["order_id"])
    core.rows("UPDATE broker_order SET cancel_asked_at = cancel_asked_at - interval '3 seconds'")
    older(core, 61)

    stops(core).run_once()

    followed(core, entry, "canceled")
    assert core.execution(entry)["reason_code"] == Code.CANCELED_AT_BROKER


def test_time_of_a_closed_market_does_not_count(make_core: Callable[..., Core]) -> None:
    core = make_core(toml())
    turn(core, "2026-01-07T14:30:30Z")
    entry = resting(core)
    older(core, 61)
    stops(core).run_once()
    assert not is_asked(core)

    turn(core, "2026-01-07T14:31:31Z")
    reread(core)
    core.runtimes["argo"].snapshots.fresh(within=timedelta(seconds=3))
    stops(core).run_once()

    followed(core, entry, "canceled")
    assert core.execution(entry)["reason_code"] == Code.ENTRY_TIMEOUT
