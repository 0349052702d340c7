"""Which orders the first reconcile after a restore looks for, and the values with which the record takes them over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipeline.model.orders import OrderSide
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.orders_at_rest import replace, status_of
from tests.integration.keeper.protecting import keeper, protections
from tests.integration.keeper.reconciling import found, reconcile
from tests.integration.keeper.test_orders_since_backup import change, holdings, restored, sent
from tests.integration.limited_stage import filled
from workers.keeper.finding_store import NotSaved
from workers.keeper.reconciliation import reconcile_once

CLOSES: dict[str, Any] = {"side": OrderSide.SELL, "position_intent": "sell_to_close", "type": "market"}


def test_the_last_of_two_restores_counts(core: Core) -> None:
    restored(core)
    execution_id = core.send()
    restored(core)
    sent(core, execution_id)

    reconcile(core)

    assert core.state(execution_id) == "filled"


def test_the_list_of_orders_begins_before_the_oldest_execution(core: Core) -> None:
    older, newer = core.send(), core.send("MSFT")
    core.rows("UPDATE execution SET created_at = now() + interval '5 minutes' WHERE execution_id = %s", [newer])
    core.rows(
        "INSERT INTO record_restore (restored_by, file_name, restored_at) "
        "VALUES ('ann', 'a.backup', now() + interval '10 minutes')"
    )
    sent(core, older)

    reconcile(core)

    assert core.state(older) == "filled"


def test_no_list_is_read_for_what_ended_before_the_backup_or_came_after_the_restore(core: Core) -> None:
    ended = core.send()
    change(core, ended, "skipped", "reason_code = 'too_old', due_at = NULL, ended_at = clock_timestamp()")
    restored(core)
    core.send("MSFT")
    core.runtimes["argo"].snapshots.fresh()
    before = core.exchange.requests("argo")["requests"]

    reconcile(core)

    assert core.exchange.requests("argo")["requests"] - before == 2


def test_an_order_counts_from_the_time_at_which_it_was_sent(core: Core) -> None:
    execution_id = core.send()
    restored(core)
    sent(core, execution_id)

    reconcile(core)

    row, (order,) = core.execution(execution_id), core.orders()
    created_at = datetime.fromisoformat(order["created_at"])
    assert row["intended_at"] == row["first_sent_at"] == row["last_sent_at"] == created_at


def test_an_exit_has_no_risk_and_no_stop_and_loses_what_the_unsent_intent_left_out(core: Core) -> None:
    filled(core, strategy="alpha", quantity=3)
    core.faults({"on": "submit", "kind": "429", "count": 1})
    execution_id = core.send("AAPL", "SELL", intent="close", strategy="alpha", stop_price=120)
    until(lambda: core.run(execution_id)["may_exist"] is False)
    core.rows(
        "UPDATE broker_order SET rest = 1, dust = 0.5, covers = 2 WHERE execution_id = %s RETURNING 1", [execution_id]
    )
    restored(core)
    sent(core, execution_id, limit_price=None, **CLOSES)

    # After the 429, the account pauses for a second.
    until(lambda: reconcile_once(core.record, core.runtimes["argo"], "test keeper") is not NotSaved.FAILED)

    row = core.execution(execution_id)
    assert [row[name] for name in ("state", "risk", "stop_price", "rest", "dust", "covers")] == [
        "filled", 0, None, 0, 0, None,
    ]  # fmt: skip
    assert holdings(core) == []


def test_the_close_in_the_place_of_a_passed_stop_is_an_exit(core: Core) -> None:
    filled(core, quantity=3, stop_price=90)
    keeper(core).run_once()
    (execution,) = protections(core)
    restored(core)
    sent(core, execution["execution_id"], limit_price=None, **CLOSES)

    reconcile(core)

    row = core.execution(execution["execution_id"])
    assert (row["state"], row["role"], holdings(core), found(core)) == ("filled", "exit", [], [])


def test_an_order_whose_replacement_cannot_be_read_is_looked_up_soon(core: Core) -> None:
    execution_id = core.send()
    restored(core)
    order_id = sent(core, execution_id, fills=False)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    new = replace(core, order_id, price=90, quantity=4)
    until(lambda: status_of(core, order_id) == "replaced")
    core.faults({"on": "lookup", "kind": "garbage_before"})
    reconcile_once(core.record, core.runtimes["argo"], "test keeper")
    assert core.state(execution_id) == "submitting"

    core.faults()
    core.sweep.run_once()

    until(lambda: core.unknowns.run_once() or core.state(execution_id) == "accepted")
    assert core.execution(execution_id)["replacement_ids"] == [new]


def test_a_short_entry_gets_its_stop_above_the_price(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(order='unprotected = "guard"\nallow_short = true'))
    core.prices(AAPL=100)
    execution_id = core.send("AAPL", "SELL", stop_price=None)
    restored(core)
    sent(core, execution_id, side=OrderSide.SELL, position_intent="sell_to_open")

    reconcile(core)

    distance = core.executors["argo"].size.default_stop_percent
    assert holdings(core) == [("AAPL", "", Decimal(-3), 100 + distance)]
