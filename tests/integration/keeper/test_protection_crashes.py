"""SIGKILL ends the process that places a stop order, or that closes a protected position; another one finishes it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.core_fixtures import Processes
from tests.factories import Core, signal, until
from tests.integration.execution.test_crash_points import a_keeper, a_worker, armed, beside
from tests.integration.keeper.protecting import protected, protections, stop_orders
from tests.integration.keeper.test_stops import followed, positions

pytestmark = pytest.mark.timeout(120)


def bought(core: Core) -> None:
    """Buy with a stop, whose order is not placed yet."""
    core.prices(AAPL=100)
    entry = core.send(quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")


def assert_one_stop(core: Core) -> None:
    until(lambda: [each["state"] for each in protections(core)] == ["accepted"])
    (order,) = [each for each in core.orders() if each["type"] == "stop"]
    assert (order["status"], order["qty"]) == ("new", "10")


@pytest.mark.parametrize("point", ["worker.after_take", "worker.after_intent", "worker.after_send"])
def test_a_worker_that_dies_while_it_places_a_stop_order(core: Core, processes: Processes, point: str) -> None:
    bought(core)
    with beside(a_keeper(core)):
        assert processes.killed(armed(processes, core, point, "work", "argo"))
        processes.start(core, "work", "argo")
        assert_one_stop(core)


@pytest.mark.parametrize("point", ["intake.before_commit", "intake.after_commit"])
def test_a_keeper_that_dies_while_it_records_a_stop_order(core: Core, processes: Processes, point: str) -> None:
    bought(core)
    with beside(a_worker(core)):
        assert processes.killed(armed(processes, core, point, "keep"))
        processes.start(core, "keep")
        assert_one_stop(core)


@pytest.mark.parametrize(
    "point", ["worker.after_cancel_mark", "worker.after_intent", "worker.after_send", "worker.after_record"]
)
def test_a_worker_that_dies_while_it_closes_a_protected_position(core: Core, processes: Processes, point: str) -> None:
    protected(core)
    sale = core.record_signal(signal(action="SELL"))
    core.dispatcher.enqueue([sale])
    with beside(a_keeper(core)):
        assert processes.killed(armed(processes, core, point, "work", "argo"))
        processes.start(core, "work", "argo")
        until(lambda: core.state(sale.execution_id) == "filled", within_s=30)
    assert positions(core) == {}
    assert stop_orders(core) == []
    assert sum(Decimal(each["filled_qty"]) for each in core.orders() if each["side"] == "sell") == 10
