"""Which holdings the keeper finds unprotected, and which executions its stop orders wait for or make way for."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.reasons import Code
from tests.factories import Core, until
from tests.integration.keeper.protecting import keeper, protected, protections, run_due, step, steps_until, stop_orders
from tests.integration.keeper.test_stops import followed

pytestmark = pytest.mark.timeout(120)


def unprotected(core: Core) -> dict[str, Any]:
    """Return a stop order that was canceled at the broker, so that the holding needs another one at once."""
    order = protected(core)
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")
    core.rows("UPDATE execution SET created_at = created_at - interval '2 hours' WHERE state = 'canceled'")
    return order


def bought(core: Core, symbol: str = "AAPL", **changes: Any) -> None:
    entry = core.send(symbol, quantity=10, **changes)
    core.run(entry)
    followed(core, entry, "filled")


def test_stops_of_other_strategies_and_symbols_protect_nothing_of_a_holding(core: Core) -> None:
    for symbol, strategy in (("AAPL", "a"), ("AAPL", "b"), ("MSFT", "a")):
        bought(core, symbol, strategy=strategy, stop_price=90)
    steps_until(core, lambda: len(stop_orders(core)) == 3)

    step(core)

    assert len(stop_orders(core)) == 3
    assert keeper(core).run_once() == 0


@pytest.mark.parametrize(("action", "recorded"), [("SELL", 0), ("FLAT", 0), ("BUY", 1)])
def test_no_stop_is_recorded_while_an_exit_is_undecided(core: Core, action: str, recorded: int) -> None:
    unprotected(core)
    core.send("AAPL", action, entry_price=100)

    assert keeper(core).run_once() == recorded


def held_exit(core: Core, *, due_in: str) -> Any:
    """Record an exit that waits for the market to open."""
    sale = core.send("AAPL", "SELL", entry_price=100)
    core.rows(
        "UPDATE execution SET state = 'submitting', lease_until = now(), fence = 1 WHERE execution_id = %s", [sale]
    )
    core.rows(
        "UPDATE execution SET state = 'held', reason_code = 'market_closed', lease_until = NULL, "
        "due_at = clock_timestamp() + %s::interval WHERE execution_id = %s",
        [due_in, sale],
    )
    return sale


@pytest.mark.parametrize(("due_in", "recorded"), [("3 seconds", 0), ("1 hour", 1)])
def test_no_stop_is_recorded_before_an_exit_that_is_due_soon(core: Core, due_in: str, recorded: int) -> None:
    unprotected(core)
    held_exit(core, due_in=due_in)

    assert keeper(core).run_once() == recorded


def test_no_stop_is_recorded_beside_an_exit_that_works(core: Core) -> None:
    unprotected(core)
    core.prices(AAPL=95)
    sale = core.send("AAPL", "SELL", entry_price=100)
    assert core.run(sale)["state"] == "accepted"
    assert keeper(core).run_once() == 0

    core.rows("UPDATE execution SET state = 'dead', reason_code = 'order_vanished' WHERE execution_id = %s", [sale])

    assert keeper(core).run_once() == 1


def test_a_stop_of_one_strategy_that_a_person_canceled_concerns_no_other_one(core: Core) -> None:
    for strategy in ("a", "b"):
        bought(core, strategy=strategy, stop_price=90)
    steps_until(core, lambda: len(stop_orders(core)) == 2)
    core.rows(
        "UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE strategy = 'a' AND role <> 'entry'"
    )
    for order in stop_orders(core):
        core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or {row["state"] for row in protections(core)} == {"canceled"})
    core.rows("UPDATE execution SET created_at = created_at - interval '2 hours' WHERE state = 'canceled'")

    assert keeper(core).run_once() == 1
    assert core.rows("SELECT strategy FROM signal WHERE source = 'tradewire:protect' ORDER BY recorded_at DESC")[0] == {
        "strategy": "b"
    }


def test_a_stop_that_a_person_canceled_says_nothing_about_the_next_position(core: Core) -> None:
    order = unprotected(core)
    core.rows("UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE order_id = %s", [order["id"]])
    assert keeper(core).run_once() == 0
    sale = core.send("AAPL", "SELL", entry_price=100)
    core.run(sale)
    followed(core, sale, "filled")
    core.rows("UPDATE broker_order SET follow_up = false")

    bought(core, stop_price=90)

    steps_until(core, lambda: stop_orders(core))


def test_a_stop_of_more_than_the_holding_is_replaced(core: Core) -> None:
    protected(core, quantity=10)
    core.rows("UPDATE holding SET quantity = 6")

    steps_until(core, lambda: [each["qty"] for each in stop_orders(core)] == ["6"])


def test_after_a_refusal_the_next_stop_is_recorded_later(core: Core) -> None:
    core.prices(AAPL=100)
    bought(core, stop_price=90)
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    step(core)
    assert [row["state"] for row in protections(core)] == ["rejected"]
    core.rows("UPDATE execution SET ended_at = clock_timestamp() WHERE state = 'rejected'")

    assert keeper(core).run_once() == 0


def test_a_partly_filled_entry_without_a_stop_works_on(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600, "count": 1})
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10)
    core.run(entry)
    followed(core, entry, "partially_filled")
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '3 seconds'")

    step(core)
    step(core)

    assert core.state(entry) == "partially_filled"


def test_an_entry_that_fills_slowly_keeps_no_stop_of_its_holding_away(core: Core) -> None:
    core.prices(AAPL=100)
    bought(core, stop_price=90)
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600, "count": 1})
    added = core.send("AAPL", quantity=10)
    core.run(added)
    followed(core, added, "partially_filled")
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '3 seconds'")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert (order["qty"], core.state(added)) == ("15", "canceled")


def test_a_stop_overtakes_an_exit_only_until_that_is_due(core: Core) -> None:
    unprotected(core)
    sale = held_exit(core, due_in="1 hour")
    keeper(core).run_once()
    waiting = protections(core)[-1]["execution_id"]
    core.due_now(sale)

    assert core.run(waiting)["state"] == "queued"
    core.rows("UPDATE execution SET due_at = due_at + interval '1 hour' WHERE execution_id = %s", [sale])
    assert core.run(waiting)["state"] == "accepted"


def test_a_stop_overtakes_an_entry_that_no_worker_has(core: Core) -> None:
    core.prices(AAPL=100)
    bought(core, stop_price=90)
    added = core.send("AAPL", quantity=1)
    keeper(core).run_once()
    [stop] = protections(core)

    assert core.run(stop["execution_id"])["state"] == "accepted"
    core.runtimes["argo"].snapshots.read()
    assert core.run(added)["reason_code"] == Code.STOP_RESTS


def test_an_exit_ends_the_waiting_stop_of_another_strategy(core: Core) -> None:
    for strategy in ("a", "b"):
        bought(core, strategy=strategy, stop_price=90)
    keeper(core).run_once()
    sale = core.send("AAPL", "SELL", entry_price=100, strategy="a")

    until(lambda: core.due_now(sale) or core.run(sale)["state"] in ("accepted", "filled"))

    assert [row["reason_code"] for row in protections(core)] == ["superseded", "superseded"]
    followed(core, sale, "filled")
    steps_until(core, lambda: stop_orders(core))


def test_a_stop_of_the_next_holding_counts_its_tries_anew(core: Core) -> None:
    protected(core)
    sale = core.send("AAPL", "SELL", entry_price=100)
    steps_until(core, lambda: core.state(sale) == "filled")
    core.rows("UPDATE broker_order SET follow_up = false")
    bought(core, stop_price=90)

    steps_until(core, lambda: stop_orders(core))

    assert [row["source_id"].rpartition("-")[2] for row in protections(core)] == ["1", "1"]
    run_due(core)
