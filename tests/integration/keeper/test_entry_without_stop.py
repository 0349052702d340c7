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


@pytest.mark.parametrize(("unprotected", "stop"), [("allow", 97), ("guard", None)])
def test_an_entry_is_skipped_while_the_price_has_passed_its_stop(
    make_core: Callable[..., Core], unprotected: str, stop: int | None
) -> None:
    core = make_core(executor_toml(order=f'unprotected = "{unprotected}"'))
    core.prices(AAPL=97)

    row = core.run(core.send(stop_price=stop))
    assert (row["state"], row["reason_code"]) == ("skipped", "level_reached")
    core.faults({"on": "prices", "kind": "5xx_before", "count": 1})
    assert core.run(core.send(stop_price=stop))["state"] == "accepted"
    core.prices(MSFT="97.01")
    assert core.run(core.send("MSFT", stop_price=stop))["state"] == "accepted"
