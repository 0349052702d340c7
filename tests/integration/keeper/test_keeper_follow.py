"""The keeper polls orders: fills, cancels, late orders, and orders that the broker no longer has."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.monitoring.alerts.execution_conditions import late_orders
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import arrive, give_up, status_at_exchange, unsent, working


def test_a_fill_is_recorded_by_polling(core: Core) -> None:
    execution_id = core.send(quantity=3)
    core.run(execution_id)
    core.filled_at_exchange()

    core.follower().run_once()

    execution = core.execution(execution_id)
    assert (execution["state"], execution["order_status"]) == ("filled", "filled")
    assert (execution["filled_quantity"], execution["filled_average_price"]) == (3, Decimal(100))
    assert execution["ended_at"] is not None
    assert core.follower().run_once() == 0


def test_a_partial_fill_is_a_state_of_its_own(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 1.0})
    execution_id = core.send(quantity=10)
    core.run(execution_id)
    until(lambda: status_at_exchange(core) == "partially_filled")

    core.follower().run_once()

    execution = core.execution(execution_id)
    assert (execution["state"], execution["filled_quantity"]) == ("partially_filled", 5)
    core.filled_at_exchange()
    core.follower().run_once()
    assert core.moves(execution_id)[-2:] == ["partially_filled", "filled"]


def test_a_cancel_at_the_broker_is_followed_with_its_reason(core: Core) -> None:
    execution_id = working(core)
    core.runtimes["argo"].broker.cancel(core.execution(execution_id)["order_id"])
    until(lambda: status_at_exchange(core) == "canceled")

    core.follower().run_once()

    execution = core.execution(execution_id)
    assert (execution["state"], execution["reason_code"]) == ("canceled", "canceled_at_broker")


def test_a_late_entry_of_what_had_ended_is_adopted_and_canceled(core: Core) -> None:
    for state in ("skipped", "dead"):
        execution_id = unsent(core)
        give_up(core, execution_id, state)
        order_id = arrive(core, execution_id)

        core.follower().run_once()

        late = core.execution(execution_id)
        assert (late["state"], late["reason_code"], late["order_id"]) == ("accepted", "late_order", order_id)
        until(lambda: status_at_exchange(core) == "canceled")
        core.follower().run_once()
        assert core.state(execution_id) == "canceled"
    assert [letter["ending"] for letter in core.rows("SELECT ending FROM dead_letter")] == ["late_order"]


@pytest.mark.parametrize(("held", "status"), [(0, "canceled"), (2, "new")])
def test_a_late_exit_is_canceled_when_nothing_is_left_for_it(core: Core, held: int, status: str) -> None:
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    execution_id = core.send("AAPL", "SELL")
    assert core.run(execution_id)["state"] == "unknown"
    give_up(core, execution_id, "dead")
    if not held:
        by_hand(core, "sell", 2)
    # Older releases sent no position_intent, so the broker does not know that the order is meant to close a position.
    arrive(core, execution_id, position_intent=None)

    core.follower().run_once()

    assert core.execution(execution_id)["reason_code"] == "late_order"
    until(lambda: status_at_exchange(core) == status)


def by_hand(core: Core, side: str, quantity: int) -> None:
    """Trade at the broker without tradewire, and wait until it is filled."""
    order = OrderRequest(
        client_order_id=f"by-hand-{side}",
        symbol="AAPL",
        side=OrderSide(side),
        quantity=Decimal(quantity),
        type="market",
        time_in_force="day",
    )
    core.runtimes["argo"].broker.submit(order)
    until(lambda: status_at_exchange(core) == "filled")


def test_the_cancel_of_a_late_entry_is_tried_until_the_broker_takes_it(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    arrive(core, execution_id)
    core.faults({"on": "cancel", "kind": "5xx_before", "count": 2})

    for _ in range(3):
        core.follower().run_once()

    until(lambda: status_at_exchange(core) == "canceled")


def test_a_late_order_that_is_not_ours_under_our_id_stays_a_dead_letter(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    arrive(core, execution_id, qty="7")

    core.follower().run_once()

    assert core.state(execution_id) == "dead"
    assert status_at_exchange(core) == "new"


def test_an_order_of_an_older_generation_is_canceled_when_it_turns_up(core: Core) -> None:
    execution_id = unsent(core)
    core.rows("UPDATE execution SET state = 'held', generation = 2, reason_code = 'send_again', due_at = now()")
    assert core.run(execution_id)["client_order_id"].endswith("-2")
    old = arrive(
        core,
        execution_id,
        client_order_id=f"tw-{execution_id}-1",
    )

    core.follower().run_once()

    until(lambda: next(order for order in core.orders() if order["id"] == old)["status"] == "canceled")
    (first,) = core.rows("SELECT order_id FROM broker_order WHERE generation = 1")
    assert first["order_id"] == old
    alerts = core.record.run(lambda connection: late_orders(connection, core.executors))
    assert [each.facts["order_id"] for each in alerts.raised] == [old]


def test_an_older_order_that_turns_up_before_the_new_one_is_sent_is_kept_and_no_new_one_is_sent(core: Core) -> None:
    execution_id = unsent(core)
    order_id = arrive(core, execution_id)
    core.rows("UPDATE execution SET state = 'held', generation = 2, reason_code = 'paused', due_at = 'infinity'")

    core.follower().run_once()

    assert core.run(execution_id)["state"] == "unknown"
    core.unknowns.run_once()
    kept = core.execution(execution_id)
    assert (kept["state"], kept["generation"], kept["order_id"]) == ("accepted", 1, order_id)
    assert [order["status"] for order in core.orders()] == ["new"]


def test_an_order_that_the_broker_forgot_is_a_dead_letter_and_blocks_nothing(core: Core) -> None:
    execution_id = working(core, quantity=2)
    core.exchange.admin("reset", {})
    core.prices(AAPL=100)
    core.rows("UPDATE broker_order SET polled_at = now() - interval '2 minutes'")

    core.follower().run_once()

    execution = core.execution(execution_id)
    assert (execution["state"], execution["reason_code"]) == ("dead", "order_vanished")
    # After another purchase, an exit does not wait for the order that the broker no longer has.
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    assert core.run(core.send("AAPL", "SELL"))["order_id"] is not None


def test_a_partly_filled_order_that_the_broker_forgot_blocks_nothing(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600})
    core.prices(AAPL=100)
    execution_id = core.send(quantity=2)
    core.run(execution_id)
    until(lambda: core.follower().run_once() or core.state(execution_id) == "partially_filled")
    core.exchange.admin("reset", {})
    core.faults()
    core.prices(AAPL=100)
    core.rows("UPDATE broker_order SET polled_at = now() - interval '2 minutes', asked_at = NULL")

    core.follower().run_once()

    execution = core.execution(execution_id)
    assert (execution["state"], execution["reason_code"]) == ("dead", "order_vanished")
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    sold = core.send("AAPL", "SELL")
    # The record also counts the fill of the vanished order, so a reading with fewer shares counts only a moment later.
    assert until(lambda: core.due_now(sold) or core.run(sold)["order_id"])


def test_a_broker_that_is_away_moves_nothing(core: Core) -> None:
    execution_id = working(core)
    core.exchange.kill9()

    assert core.follower().run_once() == 0

    assert core.state(execution_id) == "accepted"
