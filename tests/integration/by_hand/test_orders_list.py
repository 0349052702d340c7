"""`tradewire orders list` shows what is open at the exchange, with every key."""

from __future__ import annotations

from collections.abc import Callable

from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml
from tests.integration.by_hand.commands import closed, followed, orders, worked
from tests.integration.limited_stage import filled

KEYS = [
    "order_id", "client_order_id", "executor_id", "execution_id", "role", "symbol", "side", "type", "quantity",
    "filled_quantity", "limit_price", "stop_price", "order_status", "leg_of", "created_at",
]  # fmt: skip


def test_the_list_is_what_the_exchange_has_open(make_core: Callable[..., Core], core: Core) -> None:
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    filled(core, quantity=3)
    resting = closed(core, "--limit", "120")
    worked(core, resting, "accepted")
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600})
    entry = core.send("MSFT", quantity=10, executors=["argo"])
    core.run(entry)
    followed(core, entry, "partially_filled")
    core.run(core.send("MSFT", executor="prop_firm", entry_price=90, executors=["prop_firm"]), "prop_firm")

    listed = orders("list", "--json").json

    placed = [order for each in ("argo", "prop_firm") for order in core.orders(each)]
    is_open = {order["id"] for order in placed if order["status"] != "filled"}
    assert {each["order_id"] for each in listed} == is_open
    assert len(listed) == 3
    assert [list(each) for each in listed] == [KEYS] * 3
    exit_, first, second = listed
    assert (exit_["role"], exit_["side"], exit_["type"], exit_["quantity"]) == ("exit", "sell", "limit", "3")
    assert (exit_["limit_price"], exit_["stop_price"], exit_["leg_of"]) == ("120", None, None)
    assert (first["role"], first["execution_id"], first["quantity"]) == ("entry", str(entry), "10")
    assert (first["order_status"], first["filled_quantity"]) == ("partially_filled", "5")
    assert [each["executor_id"] for each in orders("list", "--executor", "prop_firm", "--json").json] == ["prop_firm"]
    assert second["order_id"] in orders("list").text


def test_an_order_that_the_broker_may_have_is_shown_without_an_id(core: Core) -> None:
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    assert core.run(core.send("AAPL"))["state"] == "unknown"

    [listed] = orders("list", "--json").json

    assert (listed["order_id"], listed["order_status"], listed["symbol"]) == (None, None, "AAPL")


def test_without_open_orders_it_says_so_and_an_unknown_executor_is_refused(core: Core) -> None:
    filled(core)

    assert (orders("list").code, orders("list").text) == (0, "no open orders\n")
    assert orders("list", "--json").json == []
    assert orders("list", "--executor", "nobody").code == 2


def test_the_processes_exit_as_the_page_says(core: Core, processes: Processes) -> None:
    listing = processes.start(core, "orders", "list", "--json")
    unknown = processes.start(core, "orders", "cancel", "nonsense")
    nothing = processes.start(core, "orders", "close", "AAPL")

    assert (listing.wait(30), unknown.wait(30), nothing.wait(30)) == (0, 2, 2)
    assert "there is no order and no execution 'nonsense'" in processes.said(unknown)
    assert "Traceback" not in processes.said(unknown) + processes.said(nothing)
