"""A reconcile finds what others did at the account, and holds entries of that symbol until it is gone or adopted."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.orders import OrderSide
from pipeline.operations.adopting import adopt
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.orders_at_rest import replace, status_at_exchange, status_of, working
from tests.integration.keeper.reconciling import found, reconcile, rest_by_hand, trade_by_hand
from tests.integration.limited_stage import filled
from workers.brokers.protocol import Accepted
from workers.keeper.finding_store import CONFIRMS, NotSaved
from workers.keeper.reconcile_task import ReconcileTask
from workers.keeper.reconciliation import Reconciliation, reconcile_once
from workers.keeper.restored_stops import equal_stop


def entry(core: Core, symbol: str = "AAPL", *, executor: str = "argo") -> tuple[str, str | None]:
    """Send an entry, and return the state and the reason that it gets."""
    row = core.run(core.send(symbol, executor=executor, executors=[executor]), executor)
    return row["state"], row["reason_code"]


def holdings(core: Core) -> dict[str, Decimal]:
    """Return what each strategy holds of AAPL."""
    rows = core.rows("SELECT strategy, quantity FROM holding WHERE quantity <> 0 AND symbol = 'AAPL'")
    return {row["strategy"]: row["quantity"] for row in rows}


def placed_again(core: Core, stop: str) -> str:
    """Cancel a stop and place it again, as for an exit, and return the broker's id of the new one."""
    broker = core.runtimes["argo"].broker
    order = broker.order(stop)
    assert order is not None
    broker.cancel(stop)
    until(lambda: status_of(core, stop) == "canceled")
    restored = broker.submit(equal_stop(order, Decimal(2)))
    assert isinstance(restored, Accepted)
    return restored.order.order_id


def settled(core: Core) -> None:
    """Let the last fills be older than the time for which an exit waits for a reading that lags."""
    core.rows("UPDATE holding SET changed_at = changed_at - interval '1 minute'")


def test_an_order_placed_behind_our_back_holds_entries_of_its_symbol_until_it_is_gone(core: Core) -> None:
    order_id = rest_by_hand(core)

    reconcile(core)
    assert found(core) == [("foreign_order", "AAPL", "suspected")]
    assert entry(core) == ("held", "quarantined")
    reconcile(core)
    assert found(core) == [("foreign_order", "AAPL", "open")]
    assert entry(core, "MSFT") == ("accepted", None)

    core.runtimes["argo"].broker.cancel(order_id)
    until(lambda: core.orders()[0]["status"] == "canceled")
    saved = reconcile(core)
    assert saved.released == 1
    assert ("foreign_order", "AAPL", "healed") in found(core, "healed")
    (held,) = core.rows("SELECT execution_id FROM execution WHERE state = 'held'")
    assert core.run(held["execution_id"])["state"] == "accepted"


def test_a_position_changed_by_hand_holds_entries_of_its_symbol_and_never_an_exit(core: Core) -> None:
    filled(core, quantity=4)
    trade_by_hand(core, 5)

    reconcile(core, times=2)

    (row,) = core.rows("SELECT kind, facts FROM finding")
    assert (row["kind"], row["facts"]) == ("position_quantity", {"broker": "9", "record": "4", "difference": "5"})
    assert entry(core) == ("held", "quarantined")
    assert entry(core, "MSFT") == ("accepted", None)
    settled(core)
    filled(core, action="SELL", intent="close")
    assert holdings(core) == {}
    reconcile(core, times=2)
    assert ("foreign_position", "AAPL", "open") in found(core)
    trade_by_hand(core, -5)
    reconcile(core)
    assert [kind for kind, symbol, _ in found(core) if symbol == "AAPL"] == []
    assert entry(core) == ("accepted", None)


def test_a_position_of_others_is_found_at_its_account_only(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.prices(AAPL=100)
    trade_by_hand(core, 3)

    for executor in ("argo", "prop_firm"):
        reconcile(core, times=2, executor=executor)

    assert found(core) == [("foreign_position", "AAPL", "open")]
    assert entry(core, executor="argo") == ("held", "quarantined")
    assert entry(core, executor="prop_firm") == ("accepted", None)


def test_the_end_of_an_order_that_was_canceled_by_hand_is_adopted_and_reported(core: Core) -> None:
    execution_id = working(core)
    core.runtimes["argo"].broker.cancel(core.execution(execution_id)["order_id"])
    until(lambda: status_at_exchange(core) == "canceled")

    saved = reconcile(core)

    assert core.state(execution_id) == "canceled"
    assert [each.kind for each in saved.healed] == ["order_ended"]
    assert found(core, "healed") == [("order_ended", "AAPL", "healed")]
    assert entry(core) == ("accepted", None)


def test_an_order_that_the_broker_does_not_know_is_a_finding(core: Core) -> None:
    execution_id = working(core)
    core.rows("ALTER TABLE broker_order DISABLE TRIGGER broker_order_guard")
    core.rows("UPDATE broker_order SET order_id = 'f0f0f0f0-0000-4000-8000-000000000000'")

    reconcile(core, times=2)

    assert found(core) == [("order_gone", "AAPL", "open")]
    assert core.state(execution_id) == "accepted"
    assert entry(core) == ("held", "quarantined")


def test_a_smaller_filled_quantity_at_the_broker_is_a_finding(core: Core) -> None:
    working(core, quantity=4)
    core.rows("UPDATE broker_order SET filled_quantity = 2")

    reconcile(core, times=2)

    assert ("filled_quantity", "AAPL", "open") in found(core)


def test_a_quiet_account_costs_two_requests_and_has_no_finding(core: Core) -> None:
    filled(core, "MSFT")
    working(core)
    before = core.exchange.requests("argo")["requests"]

    saved = reconcile(core)

    assert core.exchange.requests("argo")["requests"] - before == 2
    assert (saved.open, saved.suspected, core.rows("SELECT * FROM finding")) == (0, 0, [])


def test_a_fee_in_coins_is_no_finding(core: Core) -> None:
    core.prices(**{"BTC/USD": 1000})
    filled(core, "BTC/USD", entry_price=1000, quantity="0.8")
    position = core.runtimes["argo"].broker.position("BTC/USD")
    assert position is not None
    assert 0 < position.quantity < Decimal("0.8")

    reconcile(core, times=2)

    assert found(core) == []


def test_entries_wait_for_the_first_reconcile_and_exits_do_not(core: Core) -> None:
    filled(core, "MSFT")
    core.rows("DELETE FROM reconciliation")

    assert entry(core) == ("held", "not_reconciled")
    sold = core.run(core.send("MSFT", "SELL", intent="close"))
    assert sold["state"] == "accepted"
    task = ReconcileTask(
        reconciliation=Reconciliation(record=core.record, runtime=core.runtimes["argo"], who="test keeper")
    )
    task.run_once()
    (held,) = core.rows("SELECT execution_id FROM execution WHERE symbol = 'AAPL'")
    assert core.run(held["execution_id"])["state"] == "accepted"
    before = core.exchange.requests("argo")["requests"]
    task.run_once()
    assert core.exchange.requests("argo")["requests"] == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reconciliation SET completed_at = clock_timestamp() - interval '6 minutes'",
        "UPDATE reconciliation SET account_number = 'PA1'",
        "INSERT INTO record_restore (restored_by, file_name) VALUES ('ann', 'a.backup')",
    ],
)
def test_a_reconcile_counts_for_some_minutes_for_its_account_and_until_a_restore(core: Core, change: str) -> None:
    assert entry(core, "MSFT") == ("accepted", None)
    core.rows(change)

    assert entry(core) == ("held", "not_reconciled")


def test_a_broker_that_is_away_completes_no_reconcile(core: Core) -> None:
    core.rows("DELETE FROM reconciliation")
    core.exchange.stop()

    assert reconcile_once(core.record, core.runtimes["argo"], "test keeper") is NotSaved.FAILED

    assert core.rows("SELECT * FROM reconciliation") == []


def test_a_refused_list_of_positions_completes_no_reconcile(core: Core) -> None:
    core.runtimes["argo"].snapshots.fresh()
    core.rows("DELETE FROM reconciliation")
    core.faults({"on": "positions", "kind": "garbage_before"})

    assert reconcile_once(core.record, core.runtimes["argo"], "test keeper") is NotSaved.FAILED

    assert core.rows("SELECT * FROM reconciliation") == []


def test_a_difference_is_confirmed_only_with_the_same_figures_and_some_time_later(core: Core) -> None:
    trade_by_hand(core, 3)
    slow = Reconciliation(
        record=core.record, runtime=core.runtimes["argo"], who="test keeper", settles=timedelta(0), confirms=CONFIRMS
    )
    slow.run_once()
    slow.run_once()
    assert found(core) == [("foreign_position", "AAPL", "suspected")]
    trade_by_hand(core, 1)
    reconcile(core)
    assert found(core) == [("foreign_position", "AAPL", "suspected")]
    reconcile(core)
    assert found(core) == [("foreign_position", "AAPL", "open")]


def test_what_our_own_order_may_have_filled_is_not_compared(core: Core) -> None:
    execution_id = core.send(quantity=4)
    core.run(execution_id)
    core.filled_at_exchange()
    # The report of the fill is lost: the record still has the order as open, and does not ask for it yet.
    core.rows("UPDATE broker_order SET last_sent_at = clock_timestamp() + interval '1 minute'")

    reconcile(core, times=2)

    assert core.state(execution_id) == "accepted"
    assert found(core) == []


def test_an_adopted_position_belongs_to_manual_and_no_strategy_sells_it(core: Core) -> None:
    filled(core, quantity=4, strategy="x")
    trade_by_hand(core, 5)
    reconcile(core, times=2)

    (adopted,) = adopt(core.record, ["argo"], by="ann", why="mine")

    assert (adopted.symbol, holdings(core)) == ("AAPL", {"x": Decimal(4), "manual": Decimal(5)})
    reconcile(core, times=2)
    assert found(core) == []
    assert found(core, "adopted") == [("position_quantity", "AAPL", "adopted")]
    settled(core)
    exit_ = filled(core, action="SELL", intent="close", strategy="x")
    assert core.execution(exit_)["filled_quantity"] == 4
    assert holdings(core) == {"manual": Decimal(5)}
    reconcile(core, times=2)
    assert found(core) == []
    assert entry(core) == ("accepted", None)


def test_adopting_a_smaller_position_takes_from_manual_first_and_then_from_the_oldest(core: Core) -> None:
    filled(core, quantity=4, strategy="x")
    filled(core, quantity=2, strategy="y")
    trade_by_hand(core, 1)
    reconcile(core, times=2)
    adopt(core.record, ["argo"], by="ann", why=None)
    trade_by_hand(core, -4)
    reconcile(core, times=2)

    adopt(core.record, ["argo"], by="ann", why=None)

    assert holdings(core) == {"x": Decimal(1), "y": Decimal(2)}
    reconcile(core, times=2)
    assert found(core) == []


def test_a_position_that_our_order_has_changed_meanwhile_is_not_adopted(core: Core) -> None:
    filled(core, quantity=4)
    trade_by_hand(core, 5)
    reconcile(core, times=2)
    settled(core)
    filled(core, action="SELL", intent="close", quantity=1)

    assert adopt(core.record, ["argo"], by="ann", why=None) == []

    assert holdings(core) == {"": Decimal(3)}


def test_an_adopted_order_is_known_and_so_is_each_stop_that_takes_its_place(core: Core) -> None:
    filled(core, quantity=4)
    stop = rest_by_hand(
        core, side=OrderSide.SELL, quantity=Decimal(2), type="stop", stop_price=Decimal(50), limit_price=None
    )
    rest_by_hand(core, symbol="MSFT")
    reconcile(core, times=2)

    assert [each.order_id for each in adopt(core.record, ["argo"], symbol="AAPL", by="ann", why=None)] == [stop]

    for _ in range(2):
        stop = placed_again(core, stop)
        reconcile(core, times=2)
        assert found(core) == [("foreign_order", "MSFT", "open")]
    assert entry(core)[1] != "quarantined"


def test_the_replacement_of_our_order_is_not_foreign(core: Core) -> None:
    execution_id = working(core, quantity=4)
    replace(core, core.execution(execution_id)["order_id"], price=50, quantity=3)

    reconcile(core, times=2)

    assert found(core) == []


@pytest.mark.parametrize("seed", [3, 14])
def test_a_storm_of_our_own_orders_gives_no_finding(core: Core, seed: int) -> None:
    dice = random.Random(seed)
    core.prices(AAPL=100, MSFT=100)
    for _ in range(60):
        step: Any = dice.choice(["entry", "entry", "exit", "rest", "poll", "reconcile", "reconcile"])
        symbol = dice.choice(["AAPL", "MSFT"])
        if step == "entry":
            core.run(core.send(symbol, quantity=dice.randint(1, 5), strategy=dice.choice("xy")))
        elif step == "exit":
            core.run(core.send(symbol, "SELL", intent="close", strategy=dice.choice("xy")))
        elif step == "rest":
            core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600, "count": 1})
        elif step == "poll":
            core.follower().run_once()
        else:
            saved = reconcile(core)
            assert (saved.open, saved.suspected) == (0, 0), found(core)

    assert {row["kind"] for row in core.rows("SELECT kind FROM finding")} <= {"order_ended"}


def test_a_keeper_reconciles_when_it_begins_to_lead_so_that_the_first_entry_goes(
    core: Core, processes: Processes
) -> None:
    core.rows("DELETE FROM reconciliation")
    processes.start(core, "work", "argo")
    execution_id = core.send()

    processes.start(core, "keep")

    until(lambda: core.execution(execution_id)["order_id"])
    assert len(core.rows("SELECT * FROM reconciliation")) == 1
