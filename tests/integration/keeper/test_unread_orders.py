"""An order of ours that cannot be read holds entries of its own symbol, and the account is compared all the same."""

from __future__ import annotations

from contextlib import closing

from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.reconciliation import check_reconciliation
from pipeline.monitoring.alerts.finding_conditions import waiting_entries
from pipeline.monitoring.heartbeats import Heartbeat
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import status_at_exchange, status_of, working
from tests.integration.keeper.reconciling import found, reconcile
from tests.integration.keeper.test_stops import placed_raw
from workers.keeper.reconcile_task import SUSPECTED_EVERY_S, pause_s


def entry(core: Core, symbol: str) -> tuple[str, str | None]:
    """Send an entry, and return the state and the reason that it gets."""
    row = core.run(core.send(symbol))
    return row["state"], row["reason_code"]


def test_an_order_that_cannot_be_read_holds_only_entries_of_its_symbol(core: Core) -> None:
    execution_id = working(core)
    core.rows("DELETE FROM reconciliation")
    core.runtimes["argo"].broker.cancel(core.execution(execution_id)["order_id"])
    until(lambda: status_at_exchange(core) == "canceled")
    core.faults({"on": "lookup", "kind": "garbage_before"})

    saved = reconcile(core)

    assert pause_s(saved, failures=0) == SUSPECTED_EVERY_S
    assert entry(core, "MSFT") == ("accepted", None)
    held = core.send("AAPL")
    assert core.run(held)["reason_code"] == "not_reconciled"
    core.faults()
    assert reconcile(core).released == 1
    assert core.state(execution_id) == "canceled"
    assert core.run(held)["state"] == "accepted"


def test_a_finding_of_an_order_that_cannot_be_read_stays(core: Core) -> None:
    working(core)
    core.rows("ALTER TABLE broker_order DISABLE TRIGGER broker_order_guard")
    core.rows("UPDATE broker_order SET order_id = 'f0f0f0f0-0000-4000-8000-000000000000'")
    reconcile(core, times=2)
    core.faults({"on": "lookup", "kind": "garbage_before"})

    reconcile(core)

    assert ("order_gone", "AAPL", "open") in found(core)


def test_an_account_that_was_never_compared_is_a_warning_once_a_keeper_runs_for_a_minute(core: Core) -> None:
    core.runtimes["argo"].snapshots.fresh()
    core.rows("DELETE FROM reconciliation")
    with closing(Heartbeat(core.database_url, kind="keeper", name="keeper")):
        until(lambda: core.rows("SELECT 1 AS one FROM heartbeat"))
        (young,) = check_reconciliation(core.record, core.executors)

        core.rows("UPDATE heartbeat SET started_at = started_at - interval '2 minutes'")

        (old,) = check_reconciliation(core.record, core.executors)
    assert (young.status, old.status) == (CheckStatus.OK, CheckStatus.WARNING)


def test_entries_that_wait_for_minutes_are_an_alert(core: Core) -> None:
    core.rows("UPDATE reconciliation SET completed_at = clock_timestamp() - interval '6 minutes'")
    assert entry(core, "AAPL") == ("held", "not_reconciled")

    def subjects() -> list[str]:
        result = core.record.run(lambda connection: waiting_entries(connection, core.executors))
        return [each.subject for each in result.raised]

    assert subjects() == []
    core.rows("UPDATE reconciliation SET completed_at = clock_timestamp() - interval '11 minutes'")
    assert subjects() == ["argo cannot be compared with the record, and 1 of its entries wait for that"]
    core.rows("DELETE FROM reconciliation")
    assert subjects() == []
    core.rows("UPDATE execution SET created_at = created_at - interval '6 minutes'")
    assert len(subjects()) == 1


def test_a_listed_order_that_cannot_be_read_is_not_looked_up(core: Core) -> None:
    order_id = core.execution(working(core))["order_id"]
    core.runtimes["argo"].broker.cancel(order_id)
    until(lambda: status_of(core, order_id) == "canceled")
    unreadable = placed_raw(core, "Kauf für Ann")
    core.rows("ALTER TABLE broker_order DISABLE TRIGGER broker_order_guard")
    core.rows("UPDATE broker_order SET order_id = %s", [unreadable])
    core.runtimes["argo"].snapshots.fresh()
    before = core.exchange.requests("argo")["requests"]

    reconcile(core)

    assert core.exchange.requests("argo")["requests"] - before == 2
    assert "order_gone" not in [kind for kind, _, _ in found(core)]


def test_the_number_of_an_account_that_was_read_with_other_keys_is_read_again(core: Core) -> None:
    snapshots = core.runtimes["argo"].snapshots
    snapshots.fresh()
    number = snapshots.number()
    core.rows(
        "UPDATE account_snapshot SET keys = 'other', account = jsonb_set(account::jsonb, '{number}', '\"PA-OLD\"')"
    )

    assert snapshots.number() == number
