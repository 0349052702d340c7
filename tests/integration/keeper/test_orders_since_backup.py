"""The first reconcile after a restore adopts orders of executions that the backup had not sent yet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pipeline.model.orders import OrderRequest, OrderSide, client_order_id
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.orders_at_rest import replace, status_of, unsent
from tests.integration.keeper.protecting import protected, stop_orders
from tests.integration.keeper.reconciling import found, reconcile, rest_by_hand, trade_by_hand
from tests.integration.limited_stage import filled, follow_to
from workers.brokers.protocol import Accepted
from workers.keeper.finding_store import NotSaved, Saved
from workers.keeper.reconciliation import reconcile_once


def restored(core: Core) -> None:
    """Record a restore: what is recorded now was in the backup."""
    core.rows("INSERT INTO record_restore (restored_by, file_name) VALUES ('ann', 'a.backup')")


def sent(core: Core, execution_id: UUID, *, fills: bool = True, **changes: Any) -> str:
    """Send the execution's order, as the worker did after the backup, and return the broker's id of it."""
    if not fills:
        core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    terms: dict[str, Any] = {
        "symbol": "AAPL",
        "side": OrderSide.BUY,
        "quantity": Decimal(3),
        "type": "limit",
        "limit_price": Decimal(100),
        "time_in_force": "day",
        "position_intent": "buy_to_open",
    }
    request = OrderRequest(client_order_id=client_order_id(execution_id, 1), **terms | changes)
    outcome = core.runtimes["argo"].broker.submit(request)
    assert isinstance(outcome, Accepted), outcome
    if fills:
        until(lambda: status_of(core, outcome.order.order_id) == "filled")
    return outcome.order.order_id


def holdings(core: Core) -> list[tuple[str, str, Decimal, Decimal | None]]:
    """Return what the strategies hold, and the prices of their stops."""
    rows = core.rows("SELECT * FROM holding WHERE quantity <> 0 ORDER BY strategy")
    return [(row["symbol"], row["strategy"], row["quantity"], row["stop_price"]) for row in rows]


def change(core: Core, execution_id: UUID, state: str, also: str) -> None:
    """Change the execution as a worker would, and set what *also* says."""
    core.rows(
        f"UPDATE execution SET state = '{state}', moved_by = 'test', {also} WHERE execution_id = %s", [execution_id]
    )


@pytest.mark.parametrize("waits", ["queued", "held"])
def test_a_filled_order_of_an_execution_that_waits_is_adopted_with_its_strategy_and_stop(
    core: Core, waits: str
) -> None:
    execution_id = core.send(strategy="alpha", stop_price=90)
    restored(core)
    if waits == "held":
        assert core.run(execution_id)["reason_code"] == "not_reconciled"
    order_id = sent(core, execution_id)

    reconcile(core, times=3)

    row = core.execution(execution_id)
    assert (row["state"], row["reason_code"], row["order_id"]) == ("filled", None, order_id)
    assert (row["role"], row["filled_quantity"], row["limit_price"], row["risk"]) == ("entry", 3, 100, 30)
    assert holdings(core) == [("AAPL", "alpha", 3, 90)]
    assert found(core) == []
    assert core.run(execution_id)["state"] == "filled"
    assert len(core.orders()) == 1
    assert "its order was sent after the backup" in [
        each["moved_why"] for each in core.rows("SELECT moved_why FROM history WHERE execution_id = %s", [execution_id])
    ]


def test_a_working_order_is_followed_to_its_end(core: Core) -> None:
    execution_id = core.send()
    restored(core)
    order_id = sent(core, execution_id, fills=False)

    reconcile(core, times=2)

    assert (core.state(execution_id), found(core)) == ("accepted", [])
    core.runtimes["argo"].broker.cancel(order_id)
    follow_to(core, execution_id, "canceled")


def test_an_order_that_was_replaced_is_adopted_with_what_its_replacement_did(core: Core) -> None:
    execution_id = core.send()
    restored(core)
    order_id = sent(core, execution_id, fills=False)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    new = replace(core, order_id, price=90, quantity=4)
    until(lambda: status_of(core, order_id) == "replaced")

    reconcile(core)

    row = core.execution(execution_id)
    assert (row["state"], row["replacement_quantity"], row["replacement_ids"]) == ("accepted", 4, [new])


def test_the_order_of_an_execution_that_ended_since_the_restore_is_late(core: Core) -> None:
    execution_id, other = core.send(), core.send("MSFT")
    restored(core)
    sent(core, execution_id)
    sent(core, other, fills=False, symbol="MSFT")
    for each in (execution_id, other):
        change(core, each, "skipped", "reason_code = 'too_old', due_at = NULL, ended_at = clock_timestamp()")

    reconcile(core)

    follow_to(core, other, "canceled")
    assert core.moves(execution_id) == ["queued", "skipped", "filled"]
    assert core.moves(other) == ["queued", "skipped", "accepted", "canceled"]
    late = core.rows("SELECT execution_id FROM history WHERE reason_code = 'late_order'")
    assert {row["execution_id"] for row in late} == {execution_id, other}
    assert [symbol for symbol, *_ in holdings(core)] == ["AAPL"]


def test_the_order_of_a_dead_letter_that_was_requeued_after_the_backup_is_late(core: Core) -> None:
    execution_id = core.send()
    change(core, execution_id, "submitting", "lease_until = now(), leased_by = 'test', due_at = NULL")
    change(core, execution_id, "dead", "reason_code = 'account_unreadable', lease_until = NULL, leased_by = NULL")
    restored(core)
    sent(core, execution_id)

    reconcile(core, times=2)

    row = core.execution(execution_id)
    assert (row["state"], row["reason_code"], row["filled_quantity"]) == ("filled", "late_order", 3)
    assert found(core) == []


def test_the_order_of_a_worker_that_ended_before_it_recorded_one_is_looked_up(core: Core) -> None:
    execution_id = core.send()
    change(core, execution_id, "submitting", "lease_until = now(), leased_by = 'test', due_at = NULL")
    restored(core)
    sent(core, execution_id)

    reconcile(core, times=2)
    assert (core.state(execution_id), found(core)) == ("submitting", [])
    core.sweep.run_once()

    until(lambda: core.unknowns.run_once() or core.state(execution_id) == "filled")
    assert [each[1:3] for each in holdings(core)] == [("", 3)]


def test_the_order_of_an_execution_that_a_worker_holds_at_that_moment_is_looked_up_next(core: Core) -> None:
    execution_id = core.send()
    change(core, execution_id, "submitting", "lease_until = now(), leased_by = 'test', due_at = NULL")
    restored(core)
    sent(core, execution_id)

    reconcile(core)
    paused = "reason_code = 'paused', lease_until = NULL, leased_by = NULL, due_at = now()"
    change(core, execution_id, "held", paused)

    assert core.run(execution_id)["state"] == "unknown"
    until(lambda: core.unknowns.run_once() or core.state(execution_id) == "filled")
    assert [each[1:3] for each in holdings(core)] == [("", 3)]
    assert len(core.orders()) == 1


@pytest.mark.parametrize(
    ("symbol", "side", "position_intent", "role"),
    [
        ("AAPL", OrderSide.BUY, "buy_to_open", "entry"),
        ("AAPL", OrderSide.BUY, "buy_to_close", "exit"),
        ("AAPL", OrderSide.SELL, "sell_to_open", "entry"),
        ("BTC/USD", OrderSide.BUY, None, "entry"),
        ("BTC/USD", OrderSide.SELL, None, "exit"),
    ],
)
def test_the_order_shows_whether_it_opens_or_closes(
    core: Core, symbol: str, side: OrderSide, position_intent: str | None, role: str
) -> None:
    core.prices(**{symbol: 100})
    if position_intent == "buy_to_close":
        trade_by_hand(core, -5, symbol)
    elif role == "exit":
        filled(core, symbol, quantity=5)
    execution_id = core.send(symbol, "BUY" if side is OrderSide.BUY else "SELL")
    restored(core)
    time_in_force = "gtc" if "/" in symbol else "day"
    sent(core, execution_id, symbol=symbol, side=side, position_intent=position_intent, time_in_force=time_in_force)

    reconcile(core)

    row = core.execution(execution_id)
    assert (row["state"], row["role"], row["side"]) == ("filled", role, side)


def test_an_exit_that_was_sent_after_the_backup_closes_its_strategys_position(core: Core) -> None:
    filled(core, strategy="alpha", quantity=3)
    execution_id = core.send("AAPL", "SELL", intent="close", strategy="alpha")
    restored(core)
    sent(core, execution_id, side=OrderSide.SELL, position_intent="sell_to_close", type="market", limit_price=None)

    reconcile(core, times=2)

    row = core.execution(execution_id)
    assert (row["state"], row["role"], row["follow_up"]) == ("filled", "exit", True)
    assert (holdings(core), found(core)) == ([], [])


def test_a_stop_order_that_was_sent_after_the_backup_protects_the_position(core: Core) -> None:
    protected(core)
    (stop,) = stop_orders(core)
    execution_id = UUID(stop["client_order_id"].removeprefix("tw-").rpartition("-")[0])
    # The backup was taken when the stop order was recorded, and not yet sent.
    core.rows("DELETE FROM broker_order WHERE execution_id = %s", [execution_id])
    core.rows("ALTER TABLE execution DISABLE TRIGGER USER")
    change(core, execution_id, "queued", "due_at = now()")
    core.rows("ALTER TABLE execution ENABLE TRIGGER USER")
    restored(core)

    reconcile(core, times=2)

    row = core.execution(execution_id)
    assert (row["state"], row["role"], row["order_id"], row["stop_price"]) == ("accepted", "protection", stop["id"], 90)
    assert found(core) == []


def test_an_intent_that_the_backup_had_as_never_sent_is_replaced_by_the_order(core: Core) -> None:
    core.faults({"on": "submit", "kind": "429", "count": 1})
    execution_id = core.send(quantity=7)
    row = core.run(execution_id)
    assert (row["state"], row["may_exist"], row["quantity"]) == ("held", False, 7)
    restored(core)
    sent(core, execution_id)

    # After the 429, the account pauses for a second.
    until(lambda: reconcile_once(core.record, core.runtimes["argo"], "test keeper") is not NotSaved.FAILED)

    row = core.execution(execution_id)
    assert (row["state"], row["may_exist"], row["quantity"], row["filled_quantity"]) == ("filled", True, 3, 3)


def test_an_execution_whose_order_may_be_at_the_broker_is_left_to_its_look_up(core: Core) -> None:
    execution_id = unsent(core)
    restored(core)
    sent(core, execution_id)

    reconcile(core)

    assert core.state(execution_id) == "unknown"


def test_the_intent_that_a_worker_writes_meanwhile_stays(core: Core) -> None:
    execution_id = core.send("AAPL", "SELL", intent="close")
    restored(core)
    sent(core, execution_id)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(core.database_url) as worker:
        worker.execute("SELECT pg_advisory_xact_lock(hashtextextended('executor:argo', 7204211))")
        reconciled = pool.submit(reconcile_once, core.record, core.runtimes["argo"], "test keeper")
        until(lambda: core.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        worker.execute(
            "INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, "
            "symbol, side, quantity, reference_price, request) "
            "VALUES (%s, 1, 'argo', 'PA1', %s, 'exit', 'AAPL', 'sell', 7, 100, '{}')",
            [execution_id, client_order_id(execution_id, 1)],
        )
        worker.commit()
        assert isinstance(reconciled.result(), Saved)

    row = core.execution(execution_id)
    assert (row["state"], row["quantity"], row["order_id"]) == ("queued", 7, None)


def test_what_was_not_sent_since_the_backup_is_sent_once(core: Core) -> None:
    execution_id = core.send()
    restored(core)
    assert core.run(execution_id)["reason_code"] == "not_reconciled"

    assert reconcile(core).released == 1

    assert core.run(execution_id)["state"] == "accepted"
    assert len(core.orders()) == 1


def test_only_the_first_reconcile_after_a_restore_reads_the_list_of_all_orders(core: Core) -> None:
    core.send()
    core.runtimes["argo"].snapshots.fresh()
    costs = []
    for _ in range(2):
        restored(core)
        for _ in range(2):
            before = core.exchange.requests("argo")["requests"]
            reconcile(core)
            costs.append(core.exchange.requests("argo")["requests"] - before)

    assert costs == [3, 2, 3, 2]


def test_another_symbols_order_under_our_id_is_not_adopted(core: Core) -> None:
    execution_id = core.send("MSFT")
    restored(core)
    rest_by_hand(core, client_order_id=client_order_id(execution_id, 1))

    reconcile(core, times=2)

    assert (core.state(execution_id), found(core)) == ("queued", [("unknown_order", "AAPL", "open")])


def test_while_the_list_of_orders_cannot_be_read_no_reconcile_is_complete(core: Core) -> None:
    execution_id = core.send()
    restored(core)
    sent(core, execution_id)
    core.faults({"on": "list", "kind": "garbage_before", "count": 1})

    assert reconcile_once(core.record, core.runtimes["argo"], "test keeper") is NotSaved.FAILED
    assert core.state(execution_id) == "queued"
    reconcile(core)
    assert core.state(execution_id) == "filled"


def test_an_entry_that_gets_a_stop_from_the_configuration_gets_it_when_it_is_adopted(
    make_core: Callable[..., Core],
) -> None:
    core = make_core(executor_toml(order='unprotected = "guard"'))
    core.prices(AAPL=100)
    execution_id = core.send(stop_price=None)
    restored(core)
    sent(core, execution_id)

    reconcile(core)

    distance = core.executors["argo"].size.default_stop_percent
    assert holdings(core) == [("AAPL", "", 3, 100 - distance)]
