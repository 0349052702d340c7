"""The steps of an execution with a real record and exchange: each answer of the broker, and each reason not to send."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.factories import Core, executor_toml, until
from tests.integration.limited_stage import filled
from workers.execution.lease import Lease


def test_an_accepted_order_leaves_its_id_its_intent_and_one_attempt(core: Core) -> None:
    execution_id = core.send()

    execution = core.run(execution_id)

    (order,) = core.orders()
    assert execution["state"] in ("accepted", "filled")
    assert execution["order_id"] == order["id"]
    assert execution["client_order_id"] == order["client_order_id"] == f"tw-{execution_id}-1"
    assert (execution["attempts"], execution["fence"], execution["lease_until"]) == (1, 1, None)
    (attempt,) = core.rows("SELECT * FROM attempt")
    assert (attempt["outcome"], attempt["order_id"]) == ("accepted", order["id"])
    assert core.moves(execution_id) == ["queued", "submitting", execution["state"]]


def test_a_second_run_of_the_same_execution_does_nothing(core: Core) -> None:
    execution_id = core.send()
    first = core.run(execution_id)

    again = core.run(execution_id)

    assert len(core.orders()) == 1
    assert {**again, "polled_at": None} == {**first, "polled_at": None}


def test_a_rejected_order_ends_with_the_brokers_words(core: Core) -> None:
    core.faults({"on": "submit", "kind": "reject", "message": "insufficient buying power"})
    execution_id = core.send()

    execution = core.run(execution_id)

    assert (execution["state"], execution["reason_code"]) == ("rejected", "rejected_by_broker")
    assert execution["reason_facts"]["says"] == "insufficient buying power"
    assert execution["reason_facts"]["http"] == 403
    assert execution["order_id"] is None
    assert execution["ended_at"] is not None


def test_an_order_that_was_not_sent_is_held_and_goes_on(core: Core) -> None:
    core.run(core.send("MSFT"))  # This reads the account, so that its snapshot is fresh.
    execution_id = core.send()
    core.exchange.kill9()

    held = core.run(execution_id)

    assert (held["state"], held["reason_code"], held["attempts"]) == ("held", "broker_away", 0)
    assert held["due_at"] is not None
    core.exchange.start()
    core.prices(AAPL=100)
    core.due_now(execution_id)
    assert core.run(execution_id)["order_id"] is not None
    assert len([order for order in core.orders() if order["symbol"] == "AAPL"]) == 1


def test_an_intent_that_was_never_taken_is_written_anew_with_its_times(core: Core) -> None:
    core.run(core.send())
    execution_id = core.send()
    core.faults({"on": "submit", "kind": "429"})
    assert core.run(execution_id)["may_exist"] is False
    core.rows(
        "UPDATE broker_order SET first_sent_at = now() - interval '1 hour', intended_at = now() - interval '1 hour' "
        "WHERE execution_id = %s",
        [execution_id],
    )
    core.faults()
    core.due_now(execution_id)

    execution = core.run(execution_id)

    # This is the first real send, so the ten minutes within which the order may be sent again begin here.
    assert execution["order_id"] is not None
    assert execution["last_sent_at"] == execution["first_sent_at"]
    assert (execution["first_sent_at"] - execution["intended_at"]).total_seconds() < 1


def test_an_exit_that_was_not_sent_at_first_is_followed_up_once_it_is(core: Core) -> None:
    filled(core)
    core.faults({"on": "submit", "kind": "429"})
    execution_id = core.send(action="SELL")
    core.run(execution_id)
    order = "SELECT ended_at IS NULL AS open, follow_up, may_exist FROM broker_order WHERE execution_id = %s"
    assert core.rows(order, [execution_id]) == [{"open": False, "follow_up": False, "may_exist": False}]

    core.faults()
    core.due_now(execution_id)

    assert core.run(execution_id)["order_id"] is not None
    assert core.rows(order, [execution_id]) == [{"open": True, "follow_up": True, "may_exist": True}]


def test_a_429_is_held_as_long_as_the_broker_asks_and_is_no_attempt(core: Core) -> None:
    core.faults({"on": "submit", "kind": "429", "count": 1})
    execution_id = core.send()

    held = core.run(execution_id)

    assert (held["state"], held["reason_code"], held["attempts"]) == ("held", "rate_limited", 0)
    core.due_now(execution_id)
    assert core.run(execution_id)["order_id"] == core.orders()[0]["id"]


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden_account"])
def test_a_refused_account_holds_its_executor_while_the_other_trades_on(
    make_core: Callable[..., Core], kind: str
) -> None:
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.prices(AAPL=100, MSFT=100)
    core.faults({"on": "any", "kind": kind, "key": "argo"})
    recorded = core.intake.record(
        {"symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 100}, source="test"
    )
    ids = {row.executor_id: row.execution_id for row in recorded.executions}

    held = core.run(ids["argo"])
    other = core.run(ids["prop_firm"], "prop_firm")

    assert (held["state"], held["reason_code"]) == ("held", "broker_refuses_account")
    assert other["order_id"] is not None
    # The next entry is held without a request to the broker.
    assert core.run(core.send("MSFT"))["reason_code"] == "broker_refuses_account"

    core.faults()
    core.rows("UPDATE account_refusal SET probe_at = clock_timestamp()")
    core.follower("argo").run_once()  # The keeper probes the account too, and releases the held executions.

    assert core.rows("SELECT * FROM account_refusal") == []
    assert core.run(ids["argo"])["order_id"] is not None
    assert len(core.orders("argo")) == 1


@pytest.mark.parametrize("kind", ["drop_after", "5xx_after", "garbage", "silence_after", "drop_before", "5xx_before"])
def test_an_answer_that_does_not_come_is_unknown_and_not_a_rejection(core: Core, kind: str) -> None:
    core.faults({"on": "submit", "kind": kind})
    execution_id = core.send()

    execution = core.run(execution_id)

    assert (execution["state"], execution["reason_code"]) == ("unknown", "no_answer")
    assert (execution["may_exist"], execution["order_id"], execution["attempts"]) == (True, None, 1)
    assert execution["due_at"] is not None


def test_what_our_rules_refuse_is_skipped_with_its_reason(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(quantity="0.4") + executor_toml("whole", entry_age_s=1))
    core.prices(AAPL=100)
    core.exchange.admin("assets", {"MSFT": {"tradable": False}})
    too_small = core.send("AAPL", executors=["argo"])
    nothing_to_close = core.send("AAPL", "SELL", executors=["argo"])
    old = core.send("AAPL", executor="whole", executors=["whole"])
    time.sleep(1.1)

    assert core.run(too_small)["reason_code"] == "below_one_share"
    assert core.run(nothing_to_close)["reason_code"] == "no_position"
    assert core.run(old, "whole")["reason_code"] == "too_old"
    halted = core.run(core.send("MSFT", quantity=1))
    assert (halted["state"], halted["reason_code"]) == ("skipped", "asset_not_tradable")
    core.exchange.admin("assets", {"MSFT": None})
    assert core.orders() == []


def test_an_exit_closes_the_position(core: Core) -> None:
    core.run(core.send(quantity=3))
    core.filled_at_exchange()
    core.follower().run_once()

    execution = core.run(core.send("AAPL", "SELL"))

    assert (execution["role"], execution["side"], execution["quantity"]) == ("exit", "sell", 3)
    core.filled_at_exchange(2)
    assert core.exchange.admin("state")["accounts"][0]["positions"] == {}


def test_an_exit_cancels_a_working_entry_and_waits_for_its_end(core: Core) -> None:
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    working = core.send(quantity=5)
    core.run(working)
    exit_id = core.send("AAPL", "SELL")

    waiting = core.run(exit_id)

    assert (waiting["state"], waiting["reason_code"]) == ("held", "order_under_way")
    until(lambda: core.follower().run_once() or core.state(working) == "canceled")
    core.due_now(exit_id)
    assert core.run(exit_id)["quantity"] == 2
    assert core.execution(working)["reason_code"] == "canceled_at_broker"


def test_a_cancel_that_failed_is_asked_for_again(core: Core) -> None:
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1}, {"on": "cancel", "kind": "5xx_before"})
    working = core.send(quantity=5)
    core.run(working)
    exit_id = core.send("AAPL", "SELL")
    assert core.run(exit_id)["state"] == "held"
    core.faults()

    def exit_runs() -> bool:
        core.due_now(exit_id)
        core.run(exit_id)
        core.follower().run_once()
        return core.state(exit_id) not in ("held", "queued")

    until(exit_runs)
    assert core.state(working) == "canceled"


def test_a_lease_that_is_nearly_over_does_not_send(
    make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make_core(executor_toml(broker_timeout_s=5))
    core.prices(AAPL=100)
    monkeypatch.setattr(Lease, "renewed", lambda *_, **__: None)
    core.faults(*({"on": on, "kind": "latency", "seconds": 0.8} for on in ("account", "positions", "assets")))
    execution_id = core.send()

    execution = core.run(execution_id)

    assert (execution["state"], execution["reason_code"]) == ("held", "lease_too_short")
    assert execution["may_exist"] is False
    assert core.orders() == []
    core.faults()
    assert core.run(execution_id)["order_id"] is not None


def test_a_failure_of_our_own_ends_as_a_dead_letter_before_a_send_and_unknown_after_it(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            raise ZeroDivisionError(name)

    recipe = core.recipe(worker="broken")
    before, after = core.send("AAPL"), core.send("MSFT")
    monkeypatch.setattr(type(recipe.runtime.assets), "get", lambda *_, **__: Broken().anything)
    recipe.run(before)
    monkeypatch.undo()
    monkeypatch.setattr(type(recipe.runtime.broker), "submit", lambda *_: Broken().anything)
    recipe.run(after)

    dead, unknown = core.execution(before), core.execution(after)
    assert (dead["state"], dead["reason_code"]) == ("dead", "internal_error")
    assert dead["reason_facts"] == {"error": "ZeroDivisionError"}
    assert (unknown["state"], unknown["reason_code"]) == ("unknown", "internal_error")
