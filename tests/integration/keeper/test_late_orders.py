"""A reconcile finds late orders of any age, and orders with an id of ours that the record lacks."""

from __future__ import annotations

import json
from uuid import uuid4

from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.reconciliation import check_reconciliation
from pipeline.model.orders import OrderRequest
from pipeline.monitoring.alerts.finding_conditions import findings
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import arrive, give_up, status_at_exchange, unsent
from tests.integration.keeper.reconciling import found, reconcile, rest_by_hand
from workers.keeper.finding_store import NotSaved
from workers.keeper.reconciliation import reconcile_once


def grow_old(core: Core, age: str) -> None:
    core.rows("UPDATE broker_order SET intended_at = intended_at - %s::interval", [age])


def test_a_late_order_is_found_and_canceled_at_any_age(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    grow_old(core, "30 days")
    arrive(core, execution_id)
    core.follower().run_once()
    assert core.state(execution_id) == "dead"  # The poll no longer looks for so old an order.

    reconcile(core)

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

    reconcile(core)

    late = core.execution(execution_id)
    assert (late["state"], late["reason_code"], late["filled_quantity"]) == ("filled", "late_order", 1)
    assert late["reason_facts"]["request_id"]
    assert found(core) == []


def test_an_order_that_may_exist_is_looked_up_again_after_a_tenth_of_its_age(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    grow_old(core, "20 minutes")
    costs = []
    for wait in ("0", "1 minute", "2 minutes"):
        core.rows("UPDATE broker_order SET asked_at = asked_at - %s::interval", [wait])
        before = core.exchange.requests("argo")["requests"]
        reconcile(core)
        costs.append(core.exchange.requests("argo")["requests"] - before)

    assert costs == [3, 2, 3]


def test_an_open_order_that_the_record_does_not_know_is_a_finding_until_it_is_gone(core: Core) -> None:
    stray = rest_by_hand(core, client_order_id=f"tw-{uuid4()}-1")

    reconcile(core, times=2)

    alerts = core.record.run(lambda connection: findings(connection, core.executors))
    assert [(each.facts["finding"], each.severity) for each in alerts.raised] == [("unknown_order", "critical")]
    assert stray in alerts.raised[0].subject
    (check,) = check_reconciliation(core.record, core.executors)
    assert (check.name, check.status) == ("reconcile argo", CheckStatus.CRITICAL)
    assert stray in check.saw
    core.runtimes["argo"].broker.cancel(stray)
    until(lambda: core.orders()[0]["status"] == "canceled")
    reconcile(core)
    (check,) = check_reconciliation(core.record, core.executors)
    assert check.status is CheckStatus.OK
    assert not core.record.run(lambda connection: findings(connection, core.executors)).raised


def test_another_order_under_an_id_of_ours_is_a_finding(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    core.dead_letters.discard(execution_id, by="ann", why="over")
    order_id = arrive(core, execution_id, qty="7")

    reconcile(core, times=2)

    (row,) = core.rows("SELECT kind, order_id FROM finding")
    assert (row["kind"], row["order_id"]) == ("unknown_order", order_id)


def test_a_list_that_cannot_be_read_is_a_warning_after_some_minutes(core: Core) -> None:
    core.rows("UPDATE reconciliation SET completed_at = clock_timestamp()")
    core.runtimes["argo"].snapshots.fresh()
    (before,) = check_reconciliation(core.record, core.executors)
    core.rows("UPDATE reconciliation SET completed_at = completed_at - interval '6 minutes'")
    core.faults({"on": "list", "kind": "garbage_before"})

    assert reconcile_once(core.record, core.runtimes["argo"], "test") is NotSaved.FAILED

    (check,) = check_reconciliation(core.record, core.executors)
    assert (before.status, check.status) == (CheckStatus.OK, CheckStatus.WARNING)
