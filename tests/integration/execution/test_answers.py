"""A rejection or failure counts only from the worker with the current fence; an accepted order, from any process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pipeline.model.orders import OrderStatus
from pipeline.store.rows import ClaimedExecution
from tests.factories import Core
from workers.brokers.protocol import (
    Accepted,
    BrokerOrder,
    Duplicate,
    NotSent,
    NotSentCause,
    OrderRequest,
    Outcome,
    Rejected,
    Unknown,
)
from workers.execution.broker_orders import follow, record_broker_order
from workers.execution.order_intents import Intended
from workers.execution.runner import ExecutionRunner
from workers.keeper.order_updates import OrderUpdates
from workers.rules.retry_policy import after_submit


@dataclass
class Sender:
    """A worker that has recorded its intent and has not recorded the answer yet."""

    recipe: ExecutionRunner
    taken: ClaimedExecution
    intended: Intended

    @classmethod
    def of(cls, core: Core, execution_id: UUID, name: str) -> Sender:
        recipe = core.recipe(worker=name)
        taken = recipe.claim(execution_id)
        assert taken is not None
        intended = recipe.check.decide(taken)
        assert isinstance(intended, Intended)
        return cls(recipe, taken, intended)

    def answered(self, outcome: Outcome) -> None:
        order = self.intended.order
        move = after_submit(outcome, age=timedelta(seconds=1), role=order.role, quantity=order.quantity)
        self.recipe.results.record(self.taken, self.intended, outcome, move, took_ms=1.0)

    def send(self) -> Outcome:
        return self.recipe.runtime.broker.submit(OrderRequest.from_json(self.intended.order.request))


def sleeper_and_successor(core: Core) -> tuple[Sender, Sender]:
    """Return a worker that was frozen past its lease before it sent, and a second one that now sends the same order."""
    execution_id = core.send()
    sleeper = Sender.of(core, execution_id, "sleeper")
    core.rows("UPDATE execution SET lease_until = clock_timestamp() - interval '1 second'")
    assert core.sweep.free_leases() == 1
    assert core.state(execution_id) == "unknown"
    core.rows("UPDATE execution SET state = 'held', reason_code = 'send_again', moved_by = 'test'")
    core.due_now(execution_id)
    return sleeper, Sender.of(core, execution_id, "successor")


@pytest.mark.parametrize(
    "outcome",
    [
        NotSent(cause=NotSentCause.UNREACHABLE, message="no connection"),
        Rejected(status=403, message="insufficient buying power"),
    ],
)
def test_the_answer_of_a_sleeper_says_nothing_of_the_send_of_its_successor(core: Core, outcome: Outcome) -> None:
    sleeper, successor = sleeper_and_successor(core)
    execution_id = sleeper.taken.execution_id
    accepted = successor.send()

    sleeper.answered(outcome)

    between = core.execution(execution_id)
    assert (between["state"], between["may_exist"]) == ("submitting", True)
    assert core.rows("SELECT ended_at FROM broker_order") == [{"ended_at": None}]
    successor.answered(accepted)
    core.filled_at_exchange()
    core.follower().run_once()
    assert core.state(execution_id) == "filled"


def test_the_order_of_a_sleeper_is_adopted_and_its_successor_doubles_nothing(core: Core) -> None:
    sleeper, successor = sleeper_and_successor(core)
    execution_id = sleeper.taken.execution_id

    accepted = sleeper.send()
    sleeper.answered(accepted)
    assert core.state(execution_id) in ("accepted", "filled")
    duplicate = successor.send()
    successor.answered(duplicate)

    assert isinstance(accepted, Accepted)
    assert isinstance(duplicate, Duplicate)
    execution = core.execution(execution_id)
    assert execution["state"] in ("accepted", "filled")
    assert execution["order_id"] == accepted.order.order_id
    assert len(core.orders()) == 1


def test_a_sleepers_order_that_the_record_knows_is_looked_up_and_not_judged_too_old(core: Core) -> None:
    execution_id = core.send()
    sleeper = Sender.of(core, execution_id, "sleeper")
    core.rows("UPDATE execution SET lease_until = clock_timestamp() - interval '1 second'")
    core.sweep.free_leases()
    core.rows("UPDATE execution SET state = 'held', reason_code = 'send_again', moved_by = 'test'")
    sleeper.answered(sleeper.send())  # Stores the order id, and does not change the state.
    assert core.execution(execution_id)["order_id"] is not None
    core.rows("UPDATE signal SET expires_at = now() - interval '1 second'")
    core.due_now(execution_id)

    core.run(execution_id)

    assert core.state(execution_id) == "unknown"
    core.unknowns.run_once()
    assert core.state(execution_id) in ("accepted", "filled")
    assert len(core.orders()) == 1


def test_the_same_answer_recorded_twice_is_recorded_once(core: Core) -> None:
    execution_id = core.send()
    sender = Sender.of(core, execution_id, "worker")
    accepted = sender.send()

    sender.answered(accepted)
    first = core.execution(execution_id)
    sender.answered(accepted)

    again = core.execution(execution_id)
    assert {**again, "polled_at": None} == {**first, "polled_at": None}
    assert len(core.rows("SELECT * FROM attempt")) == 1


def test_an_unknown_answer_of_a_sleeper_moves_nothing(core: Core) -> None:
    sleeper, successor = sleeper_and_successor(core)
    successor.answered(successor.send())
    before = core.execution(sleeper.taken.execution_id)

    sleeper.answered(Unknown(message="no complete answer within 5 s"))

    assert core.execution(sleeper.taken.execution_id) == before


def test_figures_of_an_order_never_go_back(core: Core) -> None:
    execution_id = core.send(quantity=3)
    core.run(execution_id)
    core.filled_at_exchange()
    core.follower().run_once()
    filled = core.execution(execution_id)
    (raw,) = core.runtimes["argo"].broker.orders(status="all", since=datetime.now(UTC) - timedelta(minutes=1))
    stale = BrokerOrder(**{**vars(raw), "filled_quantity": type(raw.filled_quantity)(1), "filled_average_price": None})

    OrderUpdates(record=core.record, broker=core.runtimes["argo"].broker, who="test keeper").apply([stale], set())

    again = core.execution(execution_id)
    assert (again["state"], again["filled_quantity"]) == ("filled", filled["filled_quantity"])
    assert again["filled_average_price"] == filled["filled_average_price"]


def test_a_late_answer_does_not_undo_the_last_word_that_was_heard_since(core: Core) -> None:
    execution_id = core.send()
    sleeper = Sender.of(core, execution_id, "sleeper")
    outcome = sleeper.send()
    assert isinstance(outcome, Accepted)
    core.rows("UPDATE execution SET lease_until = clock_timestamp() - interval '1 second'")
    core.sweep.free_leases()
    since = replace(outcome.order, status=OrderStatus.REJECTED, raw_status="rejected")
    core.record.run(lambda c: (record_broker_order(c, since), follow(c, execution_id, 1, since, by="look-up")))

    sleeper.answered(outcome)

    assert core.state(execution_id) == "rejected"
