"""When no keeper reads the order that blocks an exit, the exit reads it."""

from __future__ import annotations

from tests.factories import Core, until


def test_an_exit_learns_itself_what_the_order_in_its_way_did_while_no_keeper_runs(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600, "count": 1})
    entry = core.send(quantity=10)
    core.run(entry)
    sold = core.send("AAPL", "SELL")
    assert core.run(sold)["reason_code"] == "order_under_way"
    until(lambda: core.orders()[0]["status"] == "canceled")
    core.due_now(sold)
    # The exit first waits, because the keeper may still read the order.
    assert core.run(sold)["reason_code"] == "order_under_way"
    core.rows("UPDATE execution SET created_at = created_at - interval '10 seconds' WHERE execution_id = %s", [sold])
    core.due_now(sold)

    assert core.run(sold)["quantity"] == 5
    assert core.moves(entry)[-1] == "canceled"


def test_an_exit_reads_the_order_in_its_way_with_pauses(core: Core) -> None:
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600}, {"on": "cancel", "kind": "garbage_before"})
    core.run(core.send())
    sold = core.send("AAPL", "SELL")
    core.rows("UPDATE execution SET created_at = created_at - interval '10 seconds' WHERE execution_id = %s", [sold])
    core.faults({"on": "lookup", "kind": "latency", "seconds": 0}, {"on": "cancel", "kind": "garbage_before"})

    for _ in range(5):
        assert core.run(sold)["reason_code"] == "order_under_way"
        core.due_now(sold)

    assert core.exchange.admin("faults")["faults"][0]["hits"] == 1
    core.rows("UPDATE broker_order SET asked_at = asked_at - interval '6 seconds'")
    core.run(sold)
    assert core.exchange.admin("faults")["faults"][0]["hits"] == 2
