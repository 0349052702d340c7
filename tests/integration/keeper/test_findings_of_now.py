"""Only findings that are true now are shown and adopted: of the present account, and seen by the last reconcile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pipeline.model.findings import Difference, FindingKind
from pipeline.operations.adopting import adopt
from pipeline.views.findings import findings
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import status_of, working
from tests.integration.keeper.reconciling import found, reconcile, trade_by_hand
from tests.integration.limited_stage import filled
from workers.keeper.finding_store import CONFIRMS, Comparison, NotSaved, save
from workers.keeper.reconciliation import reconcile_once


def test_findings_of_an_earlier_account_number_are_neither_shown_nor_adopted(core: Core) -> None:
    trade_by_hand(core, 3)
    reconcile(core, times=2)
    assert [each.symbol for each in findings(core.record, ["argo"]).findings] == ["AAPL"]

    # The broker gave the executor another account, which is empty.
    core.rows("UPDATE finding SET account_number = 'PA-OLD'")
    trade_by_hand(core, -3)
    reconcile(core)

    shown = findings(core.record, ["argo"])
    assert (shown.findings, shown.executors[0].clean) == ([], True)
    assert adopt(core.record, ["argo"], by="ann", why=None) == []
    core.rows("UPDATE finding SET state = 'healed', closed_at = clock_timestamp()")
    assert findings(core.record, ["argo"]).findings == []
    assert found(core) == []


def test_figures_that_the_last_reconcile_did_not_see_are_not_adopted(core: Core) -> None:
    filled(core, quantity=4)
    execution_id = working(core, quantity=10)
    trade_by_hand(core, 5)
    reconcile(core, times=2)
    assert found(core) == [("position_quantity", "AAPL", "open")]
    order_id = core.execution(execution_id)["order_id"]
    core.runtimes["argo"].broker.cancel(order_id)
    until(lambda: status_of(core, order_id) == "canceled")
    trade_by_hand(core, -3)
    core.faults({"on": "lookup", "kind": "garbage_before"})
    reconcile(core)

    assert adopt(core.record, ["argo"], by="ann", why=None) == []

    core.faults()
    reconcile(core, times=2)
    (adopted,) = adopt(core.record, ["argo"], by="ann", why=None)
    assert adopted.facts["difference"] == "2"


def test_a_change_by_hand_is_found_beside_a_working_order_of_ours(core: Core) -> None:
    filled(core, quantity=2)
    working(core, quantity=10)
    trade_by_hand(core, 5)

    reconcile(core, times=2)

    assert found(core) == [("position_quantity", "AAPL", "open")]


def test_two_readings_of_one_moment_do_not_confirm_each_other(core: Core) -> None:
    core.runtimes["argo"].snapshots.fresh()
    (row,) = core.rows("SELECT account_number, clock_timestamp() AS now FROM account_snapshot")
    figures = {"broker": "1", "record": "0", "difference": "1"}
    difference = Difference(kind=FindingKind.FOREIGN_POSITION, symbol="AAPL", facts=figures)

    def save_read(after: timedelta) -> str:
        comparison = Comparison(
            account_number=row["account_number"],
            executor_id="argo",
            read_at=row["now"] + after,
            differences=(difference,),
        )
        core.record.run(lambda connection: save(connection, comparison, by="test"))
        return str(core.rows("SELECT state FROM finding")[0]["state"])

    assert save_read(timedelta(0)) == "suspected"
    assert save_read(CONFIRMS / 2) == "suspected"
    assert save_read(CONFIRMS) == "open"


def test_a_suspicion_is_listed_and_the_account_is_not_clean(core: Core) -> None:
    trade_by_hand(core, 3)
    reconcile(core)

    shown = findings(core.record, ["argo"])

    assert [(each.symbol, each.state) for each in shown.findings] == [("AAPL", "suspected")]
    assert not shown.executors[0].clean


def test_an_older_reading_is_not_saved_over_a_newer_one_and_is_no_failure(core: Core) -> None:
    core.runtimes["argo"].snapshots.fresh()
    core.rows("UPDATE reconciliation SET read_at = clock_timestamp() + interval '1 minute'")
    trade_by_hand(core, 3)

    assert reconcile_once(core.record, core.runtimes["argo"], "test") is NotSaved.OUTDATED
    assert found(core) == []


def test_a_refused_list_of_orders_is_told_apart_from_one_that_cannot_be_read(core: Core) -> None:
    core.runtimes["argo"].snapshots.fresh()
    core.faults({"on": "list", "kind": "forbidden_account"})

    assert reconcile_once(core.record, core.runtimes["argo"], "test") is NotSaved.REFUSED


def test_adopting_releases_the_entries_that_waited_for_it(core: Core) -> None:
    trade_by_hand(core, 3)
    reconcile(core, times=2)
    execution_id = core.send()
    assert core.run(execution_id)["reason_code"] == "quarantined"
    due = "SELECT due_at > clock_timestamp() AS waits FROM execution WHERE execution_id = %s"
    core.rows("UPDATE execution SET due_at = clock_timestamp() + interval '1 hour'")

    adopt(core.record, ["argo"], by="ann", why=None)

    assert core.rows(due, [execution_id]) == [{"waits": False}]


def test_an_unread_position_leaves_an_open_finding_of_it_open(core: Core) -> None:
    trade_by_hand(core, 3)
    reconcile(core, times=2)
    (row,) = core.rows("SELECT account_number, clock_timestamp() AS now FROM account_snapshot")
    unread = Comparison(
        account_number=row["account_number"],
        executor_id="argo",
        read_at=row["now"],
        differences=(),
        undecided=frozenset({"AAPL"}),
    )

    core.record.run(lambda connection: save(connection, unread, by="test"))
    assert found(core) == [("foreign_position", "AAPL", "open")]

    decided = replace(unread, undecided=frozenset())
    core.record.run(lambda connection: save(connection, decided, by="test"))
    assert found(core) == []
