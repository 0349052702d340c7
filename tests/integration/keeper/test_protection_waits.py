"""No execution of its symbol that waits, no older order and no former name keeps a stop order or an exit waiting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.accounts.switches import Switches
from pipeline.model.reasons import Code
from pipeline.model.switches import SwitchKind
from tests.factories import Core, executor_toml, until
from tests.integration.by_hand.commands import follow_ups
from tests.integration.keeper.protecting import keeper, protected, protections, run_due, steps_until, stop_orders
from tests.integration.keeper.test_keeper_unknown import absent_for, look, requeued_later, unknown
from tests.integration.keeper.test_protection_statements import bought, held_exit, unprotected
from tests.integration.keeper.test_stops import followed, positions
from workers.execution.exit_lane import ExitLane

pytestmark = pytest.mark.timeout(120)


def test_an_entry_that_was_requeued_under_a_new_id_is_protected(core: Core) -> None:
    core.prices(AAPL=100)
    entry = unknown(core, quantity=10, stop_price=90)
    requeued_later(core, entry)
    look(core, entry)
    look(core, entry)
    absent_for(core, 60)
    assert look(core, entry) == "held"
    assert core.run(entry)["generation"] == 2
    followed(core, entry, "filled")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert order["qty"] == "10"


def test_an_entry_that_waits_to_be_sent_again_keeps_no_stop_away(core: Core) -> None:
    core.prices(AAPL=100)
    bought(core, strategy="a", stop_price=90)
    entry = unknown(core, strategy="b")
    Switches(core.record).turn("argo", SwitchKind.PAUSED, by="test", why="lunch")
    until(lambda: core.unknowns.run_once() or core.state(entry) == "held")
    assert core.run(entry)["reason_code"] == Code.PAUSED

    assert keeper(core).run_once() == 1


def test_an_exit_behind_one_that_is_held_for_longer_keeps_no_stop_away(core: Core) -> None:
    unprotected(core)
    held_exit(core, due_in="1 hour")
    second = core.send("AAPL", "SELL", entry_price=100)
    assert core.run(second)["state"] == "queued"
    assert keeper(core).run_once() == 1
    [*_, stop] = protections(core)
    # Another stop order is not recorded while this one waits, too.
    core.rows("UPDATE execution SET waits_for_symbol = true WHERE execution_id = %s", [stop["execution_id"]])
    assert keeper(core).run_once() == 0
    core.rows("UPDATE execution SET created_at = created_at - interval '2 seconds' WHERE state = 'queued'")
    lane = ExitLane(core.runtimes["argo"], leases=core.leases, worker="lane", database_url=core.database_url)

    lane.run_once()

    lane.close()
    assert (core.state(stop["execution_id"]), core.state(second)) == ("accepted", "queued")


def test_stop_orders_that_met_an_entry_delay_no_later_one(core: Core) -> None:
    core.prices(AAPL=100)
    bought(core, stop_price=90)
    for _ in range(3):
        entry = core.send("AAPL", quantity=1, entry_price=95)
        assert keeper(core).run_once() == 1
        core.run(entry)
        run_due(core)
        assert protections(core)[-1]["reason_code"] == Code.ORDER_UNDER_WAY
        core.runtimes["argo"].broker.cancel(core.execution(entry)["order_id"])
        followed(core, entry, "canceled")

    assert keeper(core).run_once() == 1


def test_a_stop_order_that_had_rested_is_placed_again_at_once(core: Core) -> None:
    order = protected(core)
    for _ in range(3):
        core.rows("UPDATE broker_order SET accepted_at = accepted_at - interval '2 minutes' WHERE role = 'protection'")
        core.runtimes["argo"].broker.cancel(order["id"])
        until(lambda: core.follower().run_once() or protections(core)[-1]["state"] == "canceled")

        assert keeper(core).run_once() == 1
        [order] = steps_until(core, lambda: stop_orders(core))


def test_after_the_executor_was_renamed_its_stop_counts_and_an_exit_cancels_it(core: Core) -> None:
    order = protected(core)
    for table in ("broker_order", "execution"):
        core.rows(f"UPDATE {table} SET executor_id = 'former'")
    assert keeper(core).run_once() == 0
    sale = core.send("AAPL", "SELL", entry_price=100)

    steps_until(core, lambda: core.state(sale) == "filled")

    assert {each["id"]: each["status"] for each in core.orders()}[order["id"]] == "canceled"


def with_one_passed_stop_of_two(make_core: Callable[..., Core]) -> Core:
    """Return a core whose exits close the account, where the price has passed the stop of strategy a, but not of b."""
    core = make_core(executor_toml(order='close_scope = "account"'))
    core.prices(AAPL=100)
    bought(core, strategy="a", stop_price=90)
    bought(core, strategy="b", stop_price=50)
    core.prices(AAPL=85)
    return core


def test_a_price_beyond_the_stop_of_one_strategy_closes_nothing_of_another(make_core: Callable[..., Core]) -> None:
    core = with_one_passed_stop_of_two(make_core)

    steps_until(core, lambda: positions(core) != {"AAPL": 20})

    assert positions(core) == {"AAPL": 10}
    assert [order["stop_price"] for order in steps_until(core, lambda: stop_orders(core))] == ["50"]


def test_a_further_try_of_a_passed_stop_closes_nothing_of_another_strategy(make_core: Callable[..., Core]) -> None:
    core = with_one_passed_stop_of_two(make_core)
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    keeper(core).run_once()
    run_due(core)
    until(lambda: core.follower().run_once() or follow_ups(core))
    [again] = core.rows("SELECT execution_id FROM execution WHERE reason_code = 'exit_not_done'")
    later = "UPDATE execution SET due_at = clock_timestamp() + interval '1 minute' WHERE execution_id = %s"
    core.rows(later, [again["execution_id"]])
    # Before that try is due, the keeper records another stop order, and the part is closed.
    steps_until(core, lambda: positions(core) == {"AAPL": 10})
    core.rows("UPDATE holding SET changed_at = changed_at - interval '1 minute'")

    for _ in range(5):
        core.due_now(again["execution_id"])
        core.run(again["execution_id"])
        core.follower().run_once()

    assert core.execution(again["execution_id"])["reason_code"] == Code.NO_POSITION
    assert (positions(core), [each["stop_price"] for each in stop_orders(core)]) == ({"AAPL": 10}, ["50"])
