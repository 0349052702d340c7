"""Near the account's request limit, all requests for an exit are still sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.model.errors import BudgetUsedUp
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import working
from tests.integration.keeper.test_replaced_orders import replace, status_of
from tests.integration.limited_stage import changed_toml, filled
from workers.brokers.rate_budget import BLOCK
from workers.execution.cancels import ask_to_cancel

Make = Callable[..., Core]


@pytest.fixture
def limited(make_core: Make) -> Core:
    """A core with 200 requests a minute: entries may use 150, polls 170, cancels of entries 192."""
    core = make_core(changed_toml(requests_per_minute="200"))
    core.prices(AAPL=100)
    return core


def spend(core: Core, count: int) -> None:
    """Record that the account has used *count* requests in this minute."""
    slots = [count] + [0] * 62
    core.rows("UPDATE request_budget SET slots = %s, second = floor(extract(epoch FROM clock_timestamp()))", [slots])


def is_read(core: Core, order_id: str) -> bool:
    try:
        return core.runtimes["argo"].broker.order(order_id) is not None
    except BudgetUsedUp:
        return False


def test_a_replaced_entry_is_canceled_while_polls_have_no_room(limited: Core) -> None:
    entry = working(limited)
    first = limited.execution(entry)["order_id"]
    last = replace(limited, first, price=50, quantity=1)
    spend(limited, 180)

    ask_to_cancel(limited.record, limited.runtimes["argo"].broker.canceling(), first)

    until(lambda: status_of(limited, last) in ("canceled", "pending_cancel"))


def test_the_cancel_that_an_exit_waits_for_is_as_urgent_as_the_exit_and_its_repetitions_are_not(limited: Core) -> None:
    entry = working(limited)
    order_id = limited.execution(entry)["order_id"]
    # The broker accepts the request, but does not cancel the order.
    limited.faults({"on": "cancel", "kind": "garbage_before"})
    leave = limited.send("AAPL", "SELL")
    spend(limited, 193)

    assert limited.run(leave)["reason_code"] == "order_under_way"

    asked = "SELECT cancels_accepted FROM broker_order WHERE order_id = %s"
    assert limited.rows(asked, [order_id]) == [{"cancels_accepted": 1}]
    limited.rows("UPDATE broker_order SET cancel_asked_at = now() - interval '1 minute'")
    limited.due_now(leave)
    limited.run(leave)
    assert limited.rows(asked, [order_id]) == [{"cancels_accepted": 1}]


def test_a_look_up_follows_a_replaced_order_while_polls_have_no_room(limited: Core) -> None:
    limited.faults(
        {"on": "submit", "kind": "drop_after", "count": 1}, {"on": "submit", "kind": "no_fill", "seconds": 600}
    )
    entry = limited.send()
    assert limited.run(entry)["state"] == "unknown"
    replace(limited, limited.orders()[0]["id"], price=50, quantity=1)
    limited.due_now(entry)
    spend(limited, 180)

    limited.unknowns.run_once()

    assert limited.state(entry) == "accepted"


def test_an_entry_that_waits_for_an_exit_spends_nothing_of_the_requests_that_are_left_to_exits(limited: Core) -> None:
    filled(limited)
    limited.faults({"on": "submit", "kind": "no_fill", "seconds": 600})
    leaving = limited.run(limited.send("AAPL", "SELL"))
    assert leaving["state"] == "accepted"
    entry = limited.send()
    limited.rows(
        "UPDATE execution SET created_at = created_at - interval '10 seconds' WHERE execution_id = %s", [entry]
    )
    spend(limited, 180)
    with pytest.raises(BudgetUsedUp):
        _use_up_reads(limited, leaving["order_id"])
    limited.faults({"on": "lookup", "kind": "latency", "seconds": 0})

    assert limited.run(entry)["reason_code"] == "order_under_way"

    assert limited.exchange.admin("faults")["faults"][0]["hits"] == 0


def _use_up_reads(core: Core, order_id: str) -> None:
    """Read an order until the budget refuses the read. Reads that are already paid for come first."""
    for _ in range(BLOCK + 1):
        core.runtimes["argo"].broker.order(order_id)
