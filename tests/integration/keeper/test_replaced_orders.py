"""When a person replaces an order at the broker, the keeper follows and cancels its replacement."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import replace, status_of, working
from tests.integration.limited_stage import changed_toml, filled
from workers.execution.cancels import ask_to_cancel


def followed(core: Core, execution_id: UUID, state: str) -> None:
    until(lambda: core.follower().run_once() or core.state(execution_id) == state)


def test_an_order_that_was_replaced_twice_is_followed_to_the_end_of_the_last_one(core: Core) -> None:
    execution_id = working(core, quantity=4)
    first = core.execution(execution_id)["order_id"]
    last = replace(core, replace(core, first, price=50, quantity=4), price=60, quantity=4)
    core.follower().run_once()
    assert core.state(execution_id) == "accepted"
    core.prices(AAPL=60)
    until(lambda: status_of(core, last) == "filled")

    followed(core, execution_id, "filled")

    execution = core.execution(execution_id)
    assert (execution["order_id"], execution["order_status"]) == (first, "filled")
    assert (execution["filled_quantity"], execution["filled_average_price"]) == (4, Decimal(60))


def test_the_fills_before_and_after_a_replacement_count_together(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600, "count": 1})
    execution_id = core.send(quantity=4)
    core.run(execution_id)
    followed(core, execution_id, "partially_filled")
    last = replace(core, core.execution(execution_id)["order_id"], price=50, quantity=4)
    core.follower().run_once()
    assert core.state(execution_id) == "partially_filled"
    core.prices(AAPL=50)
    until(lambda: status_of(core, last) == "filled")

    followed(core, execution_id, "filled")

    execution = core.execution(execution_id)
    assert (execution["filled_quantity"], execution["filled_average_price"]) == (4, Decimal(75))


def test_a_replaced_order_is_canceled_by_the_order_that_goes_on(core: Core) -> None:
    execution_id = working(core)
    first = core.execution(execution_id)["order_id"]
    last = replace(core, first, price=50, quantity=1)

    ask_to_cancel(core.record, core.runtimes["argo"].broker, first)

    until(lambda: status_of(core, last) == "canceled")
    followed(core, execution_id, "canceled")


def test_an_unknown_order_that_was_replaced_is_adopted_as_it_goes_on(core: Core) -> None:
    core.faults({"on": "submit", "kind": "drop_after", "count": 1}, {"on": "submit", "kind": "no_fill", "seconds": 600})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "unknown"
    replace(core, core.orders()[0]["id"], price=50, quantity=1)
    core.due_now(execution_id)

    core.unknowns.run_once()

    assert core.state(execution_id) == "accepted"


def test_a_larger_replacement_counts_with_its_quantity_before_it_is_filled(make_core: Callable[..., Core]) -> None:
    core = make_core(changed_toml(gross_exposure_percent="10"))
    core.prices(AAPL=100, MSFT=100)
    entry = working(core, quantity=4)
    replace(core, core.execution(entry)["order_id"], price=60, quantity=95)
    until(lambda: core.follower().run_once() or core.execution(entry)["replacement_quantity"] == 95)

    # The exposure limit allows 99 shares at the limit price of 100.50, and the replacement counts with 95.
    assert core.run(core.send("MSFT", quantity=20))["quantity"] == 4


def test_a_replacement_that_cannot_be_read_hides_no_other_order(core: Core) -> None:
    core.prices(AAPL=100, MSFT=100)
    first = working(core)
    other = core.send("MSFT")
    core.run(other)
    replace(core, core.execution(first)["order_id"], price=50, quantity=1, client_order_id="Kauf für Ann")
    core.filled_at_exchange()

    followed(core, other, "filled")


def test_an_exit_gets_out_although_the_replacement_of_the_entry_before_it_cannot_be_read(core: Core) -> None:
    core.prices(AAPL=100)
    filled(core)
    entry = working(core)
    replace(core, core.execution(entry)["order_id"], price=50, quantity=1, client_order_id="Kauf für Ann")
    leave = core.send("AAPL", "SELL")

    def out() -> bool:
        core.due_now(leave)
        core.follower().run_once()
        return core.run(leave)["order_id"] is not None

    until(out)
