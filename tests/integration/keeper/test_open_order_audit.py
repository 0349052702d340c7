"""The audit of open orders finds late orders of any age, and orders with an id of ours that the record lacks."""

from __future__ import annotations

import json
from decimal import Decimal
from uuid import uuid4

from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.open_orders import check_open_orders
from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.monitoring.alerts.execution_conditions import stray_orders
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import arrive, give_up, status_at_exchange, unsent
from workers.brokers.protocol import Accepted
from workers.keeper.open_order_audit import OpenOrderAudit


def audit(core: Core) -> OpenOrderAudit:
    return OpenOrderAudit(record=core.record, runtime=core.runtimes["argo"], who="test keeper")


def grow_old(core: Core, age: str) -> None:
    core.rows("UPDATE broker_order SET intended_at = intended_at - %s::interval", [age])


def place(core: Core, client_order_id: str) -> str:
    """Place an order that does not fill, as another installation would."""
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    request = OrderRequest(
        client_order_id=client_order_id,
        symbol="AAPL",
        side=OrderSide.BUY,
        quantity=Decimal(5),
        type="limit",
        time_in_force="day",
        limit_price=Decimal(90),
    )
    outcome = core.runtimes["argo"].broker.submit(request)
    assert isinstance(outcome, Accepted)
    return outcome.order.order_id


def test_a_late_order_is_found_and_canceled_at_any_age(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    grow_old(core, "30 days")
    arrive(core, execution_id)
    core.follower().run_once()
    assert core.state(execution_id) == "dead"  # The poll no longer looks for so old an order.

    audit(core).run_once()

    late = core.execution(execution_id)
    assert (late["state"], late["reason_code"]) == ("accepted", "late_order")
    until(lambda: status_at_exchange(core) == "canceled")


def test_a_late_order_that_filled_at_once_is_found_though_it_is_not_open_any_more(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    grow_old(core, "11 minutes")
    request = OrderRequest.from_json(json.loads(json.dumps(core.execution(execution_id)["request"])))
    core.runtimes["argo"].broker.submit(request)
    core.filled_at_exchange()

    audit(core).run_once()

    late = core.execution(execution_id)
    assert (late["state"], late["reason_code"], late["filled_quantity"]) == ("filled", "late_order", 1)
    assert late["reason_facts"]["request_id"]


def test_an_order_that_may_exist_is_looked_up_again_after_a_tenth_of_its_age(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    grow_old(core, "20 minutes")
    costs = []
    for wait in ("0", "1 minute", "2 minutes"):
        core.rows("UPDATE broker_order SET asked_at = asked_at - %s::interval", [wait])
        before = core.exchange.requests("argo")["requests"]
        audit(core).run_once()
        costs.append(core.exchange.requests("argo")["requests"] - before)

    assert costs == [2, 1, 2]


def test_an_open_order_that_the_record_does_not_know_is_a_finding_until_it_is_gone(core: Core) -> None:
    stray = place(core, f"tw-{uuid4()}-1")
    place(core, "by-hand")

    audit(core).run_once()

    found = core.record.run(lambda connection: stray_orders(connection, core.executors))
    assert [each.facts["order_id"] for each in found.raised] == [stray]
    assert found.raised[0].subject.startswith("the broker of argo holds an open order that the record does not know: ")
    (check,) = check_open_orders(core.record, core.executors)
    assert (check.name, check.status) == ("open orders argo", CheckStatus.CRITICAL)
    assert stray in check.saw
    core.runtimes["argo"].broker.cancel(stray)
    until(lambda: core.orders()[0]["status"] == "canceled")
    audit(core).run_once()
    (check,) = check_open_orders(core.record, core.executors)
    assert check.status is CheckStatus.OK
    assert not core.record.run(lambda connection: stray_orders(connection, core.executors)).raised


def test_another_order_under_an_id_of_ours_is_a_finding(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    core.dead_letters.discard(execution_id, by="ann", why="over")
    order_id = arrive(core, execution_id, qty="7")

    audit(core).run_once()

    found = core.record.run(lambda connection: stray_orders(connection, core.executors))
    assert [each.facts["order_id"] for each in found.raised] == [order_id]


def test_a_list_that_cannot_be_read_is_a_finding_after_some_minutes(core: Core) -> None:
    audit(core).run_once()
    core.rows("UPDATE open_order_audit SET read_at = read_at - interval '6 minutes'")
    core.faults({"on": "list", "kind": "garbage_before"})

    audit(core).run_once()

    (check,) = check_open_orders(core.record, core.executors)
    assert check.status is CheckStatus.WARNING
