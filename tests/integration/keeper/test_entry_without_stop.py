"""An entry without a stop gets a stop order where the executor gives it one, and is skipped where it is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.model.reasons import Code
from tests.factories import Core, executor_toml
from tests.integration.keeper.protecting import protections, steps_until, stop_orders
from tests.integration.keeper.test_stops import followed

pytestmark = pytest.mark.timeout(120)


def test_a_filled_entry_without_a_stop_gets_a_stop_order_at_the_default_distance(
    make_core: Callable[..., Core],
) -> None:
    core = make_core(executor_toml(order='unprotected = "guard"'))
    core.prices(AAPL=100)
    entry = core.send(quantity=10)
    core.run(entry)
    followed(core, entry, "filled")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert (order["side"], order["qty"], order["stop_price"]) == ("sell", "10", "97")
    assert [each["stop_price"] for each in core.rows("SELECT stop_price FROM holding")] == [97]
    assert len(protections(core)) == 1


def test_an_entry_without_a_stop_is_skipped_and_the_exit_of_what_is_held_goes(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(order='unprotected = "refuse"'))
    core.prices(AAPL=100, MSFT=100)
    held = core.send(quantity=10, stop_price=90)
    core.run(held)
    followed(core, held, "filled")
    refused = core.send("MSFT", quantity=10)

    assert core.run(refused)["state"] == "skipped"
    sale = core.send("AAPL", "SELL", entry_price=100)
    steps_until(core, lambda: core.state(sale) == "filled")

    assert core.execution(refused)["reason_code"] == Code.ENTRY_WITHOUT_STOP
