"""A limit close by hand and the stop of the same position: neither ends the other, and what no stop covers is told."""

from __future__ import annotations

from uuid import UUID

import pytest

from pipeline.model.reasons import Code
from pipeline.monitoring.alerts.protection_conditions import unprotected_positions
from tests.factories import Core
from tests.integration.by_hand.commands import closed, closes, follow_ups, worked
from tests.integration.keeper.protecting import keeper, protections, run_due, steps_until, stop_orders
from tests.integration.keeper.test_stops import positions
from tests.integration.limited_stage import filled

pytestmark = pytest.mark.timeout(120)


def resting(core: Core, *terms: str) -> UUID:
    """Return a limit close that rests, of a position whose stop order was not placed yet."""
    filled(core, quantity=10, stop_price=90)
    close = closed(core, "--limit", "120", *terms)
    worked(core, close, "accepted")
    return close


def alerts(core: Core) -> list[str]:
    return [each.key for each in core.record.run(lambda unit: unprotected_positions(unit, core.executors)).raised]


def test_a_limit_close_does_not_end_a_stop_order_that_waits(core: Core) -> None:
    filled(core, quantity=10, stop_price=90)
    keeper(core).run_once()
    close = closed(core, "--limit", "120")

    assert core.run(close)["state"] == "queued"
    run_due(core)

    assert [row["state"] for row in protections(core)] == ["accepted"]
    assert len(stop_orders(core)) == 1


def test_a_position_whose_limit_close_rests_without_a_stop_raises_an_alert(core: Core) -> None:
    resting(core)

    assert alerts(core) == ["unprotected_position:argo:AAPL:"]


def test_what_a_limit_close_leaves_has_a_stop(core: Core) -> None:
    close = resting(core, "--percent", "40")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert (order["qty"], core.state(close)) == ("6", "accepted")


def test_a_price_that_has_passed_the_stop_closes_the_position_instead_of_a_limit_close(core: Core) -> None:
    close = resting(core)
    core.prices(AAPL=85)

    steps_until(core, lambda: positions(core) == {})

    assert (core.state(close), core.execution(close)["reason_code"]) == ("canceled", Code.SUPERSEDED)


def test_after_a_limit_close_has_ended_the_stop_comes_at_once(core: Core) -> None:
    close = resting(core)
    for _ in range(6):
        keeper(core).run_once()
        run_due(core)
        core.rows("UPDATE execution SET ended_at = ended_at - interval '10 minutes' WHERE state = 'skipped'")
    assert {row["reason_code"] for row in protections(core)} == {Code.QUANTITY_HELD}
    assert len(protections(core)) == 6
    core.rows("UPDATE execution SET ended_at = clock_timestamp() WHERE state = 'skipped'")
    assert keeper(core).run_once() == 0
    core.runtimes["argo"].broker.cancel(core.execution(close)["order_id"])
    worked(core, close, "canceled")
    follow_ups(core)

    assert keeper(core).run_once() == 1


def test_an_exit_takes_the_place_of_a_limit_close_and_of_the_stop_beside_it(core: Core) -> None:
    close = resting(core, "--percent", "40")
    steps_until(core, lambda: stop_orders(core))
    sale = core.send("AAPL", "SELL", entry_price=100)

    steps_until(core, lambda: core.state(sale) == "filled")

    assert (positions(core), stop_orders(core), core.state(close)) == ({}, [], "canceled")


def test_a_stop_order_that_waits_for_the_symbol_cancels_no_limit_close(core: Core) -> None:
    close = resting(core, "--percent", "40")
    keeper(core).run_once()
    core.rows("UPDATE execution SET waits_for_symbol = true WHERE state = 'queued'")

    follow_ups(core)

    assert [row["state"] for row in protections(core)] == ["queued"]
    assert core.execution(close)["cancel_asked_at"] is None


def test_a_refused_limit_close_is_tried_again_although_a_stop_order_followed(core: Core) -> None:
    filled(core, quantity=10, stop_price=90)
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    close = closed(core, "--limit", "120")
    assert core.run(close)["state"] == "rejected"
    core.rows("UPDATE broker_order SET ended_at = ended_at - interval '6 seconds' WHERE role = 'exit'")
    assert keeper(core).run_once() == 1

    follow_ups(core)

    assert len(closes(core)) == 2
