"""The check, its reservation and the intent are one transaction under the executor's lock, and need known figures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.model.states import State
from tests.factories import Core, executor_toml
from tests.integration.limited_stage import filled
from workers.execution.order_intents import Intended
from workers.rules.retry_policy import Transition


def judge(core: Core, symbol: str, worker: str = "test worker", **changes: object) -> Intended | Transition:
    """Claim and check the execution of a new signal, without sending it."""
    recipe = core.recipe(worker=worker)
    taken = recipe.claim(core.send(symbol, **changes))  # type: ignore[arg-type]
    assert taken is not None
    return recipe.check.decide(taken)


def test_the_intent_is_in_the_record_before_anything_is_sent(core: Core) -> None:
    verdict = judge(core, "AAPL", quantity=3)

    assert isinstance(verdict, Intended)
    assert verdict.sole
    (row,) = core.rows("SELECT * FROM broker_order")
    assert row["request"] == {
        "client_order_id": verdict.order.client_order_id,
        "symbol": "AAPL",
        "side": "buy",
        "qty": "3",
        "type": "limit",
        "limit_price": "100.50",
        "time_in_force": "day",
        "position_intent": "buy_to_open",
    }
    assert row["account_number"] == core.exchange.admin("state")["accounts"][0]["account_number"]
    assert core.orders() == []


def test_an_intent_that_may_have_been_sent_cannot_be_changed(core: Core) -> None:
    judge(core, "AAPL")

    with pytest.raises(Exception, match="immutable"):
        core.rows("UPDATE broker_order SET request = '{}'")


def test_entries_judged_at_once_see_each_others_reservations(core: Core) -> None:
    core.exchange.admin("accounts", {"key": "argo", "cash": "10000"})
    core.runtimes["argo"].snapshots.read()
    power = core.runtimes["argo"].broker.account().buying_power
    symbols = [f"Q{chr(65 + n)}" for n in range(8)]
    most = int(power / 4 / 101)

    verdicts = list(core.pool.map(lambda symbol: judge(core, symbol, worker=symbol, quantity=most), symbols))

    reserved = sum(
        verdict.order.quantity * verdict.order.reference_price for verdict in verdicts if isinstance(verdict, Intended)
    )
    assert 0 < reserved <= power
    refused = [verdict for verdict in verdicts if isinstance(verdict, Transition)]
    assert refused
    assert {verdict.reason.code for verdict in refused if verdict.reason} == {"buying_power_used_up"}


def test_what_was_discarded_reserves_nothing(core: Core) -> None:
    core.exchange.admin("accounts", {"key": "argo", "cash": "10000"})
    core.runtimes["argo"].snapshots.read()
    power = core.runtimes["argo"].broker.account().buying_power
    most = int(power / 101)
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    lost = core.send("QA", quantity=most)
    assert core.run(lost)["state"] == "unknown"
    cut = judge(core, "QB", quantity=most)
    assert isinstance(cut, Intended)
    assert cut.order.quantity < 10
    core.rows(
        "UPDATE execution SET state = 'dead', reason_code = 'unknown_too_long', due_at = NULL, moved_by = 'test' "
        "WHERE execution_id = %s",
        [lost],
    )
    core.dead_letters.discard(lost, by="test", why="it is not at the broker")

    whole = judge(core, "QC", quantity=most)
    assert isinstance(whole, Intended)
    assert whole.order.quantity > most - 10


def test_a_blocked_account_holds(core: Core) -> None:
    core.exchange.admin("accounts", {"key": "argo", "trading_blocked": True})

    verdict = judge(core, "AAPL")

    assert isinstance(verdict, Transition)
    assert verdict.state is State.HELD
    assert verdict.reason is not None
    assert verdict.reason.code == "account_blocked"


def test_an_exit_of_an_account_that_seems_blocked_is_tried(core: Core) -> None:
    filled(core)
    core.rows("UPDATE account_snapshot SET account = jsonb_set(account, '{blocked}', 'true')")

    assert core.run(core.send("MSFT"))["reason_code"] == "account_blocked"
    assert core.run(core.send("AAPL", "SELL"))["order_id"] is not None


@pytest.mark.parametrize("on", ["account", "positions", "assets"])
def test_a_broker_that_is_away_holds_and_one_that_makes_no_sense_is_given_up(core: Core, on: str) -> None:
    core.faults({"on": on, "kind": "5xx_before"})
    execution_id = core.send("QZ")
    held = core.run(execution_id)
    assert (held["state"], held["reason_code"], held["attempts"]) == ("held", "broker_away", 0)

    core.faults({"on": on, "kind": "garbage_before"})
    for _ in range(5):
        core.due_now(execution_id)
        core.run(execution_id)

    dead = core.execution(execution_id)
    assert (dead["state"], dead["reason_code"], dead["attempts"]) == ("dead", "account_unreadable", 5)
    core.faults()
    core.dead_letters.requeue(execution_id, by="test", why="the broker is well again")
    assert core.run(execution_id)["order_id"] is not None


def test_a_hold_of_an_entry_ends_with_its_freshness(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(entry_age_s=1.0))
    core.prices(AAPL=100)
    core.exchange.kill9()
    execution_id = core.send()
    held = core.run(execution_id)
    assert held["state"] == "held"
    ends = held["created_at"] + timedelta(seconds=1)
    assert held["due_at"] <= ends + timedelta(seconds=0.2)
    core.rows("SELECT pg_sleep(1.1)")
    core.due_now(execution_id)

    skipped = core.run(execution_id)

    assert (skipped["state"], skipped["reason_code"]) == ("skipped", "too_old")
    assert skipped["reason_facts"]["held_for"].startswith("broker_away")


def test_an_exit_is_held_as_long_as_the_broker_is_away(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(entry_age_s=1.0))
    core.prices(AAPL=100)
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.exchange.kill9()
    execution_id = core.send("AAPL", "SELL")
    core.rows("SELECT pg_sleep(1.1)")
    assert core.run(execution_id)["state"] == "held"
    core.exchange.start()
    core.due_now(execution_id)

    assert core.run(execution_id)["side"] == "sell"
