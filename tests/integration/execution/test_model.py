"""Workers and keepers in random interleavings of steps, crashes, repeated jobs, late answers and clock jumps.

The code of worker and keeper, its SQL and PostgreSQL are real; the model simulates the broker, the queue and time.
A step of real code runs in a thread that waits at each crash point until the model continues or kills it.

This test found two faults. A requeued exit ignored a later exit of its symbol that was being looked up, so both sold
the same shares. A requeue or discard ran again because the answer to its COMMIT was lost, and then reported that it had
done nothing. Both have tests of their own, in test_recipe_exits.py and test_dead_letters.py.

`TRADEWIRE_MODEL_EXAMPLES=2000` runs more examples.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipeline.model.orders import OrderStatus
from tests.integration.execution.model_broker import WORDS, Held
from tests.integration.execution.model_properties import Properties
from tests.integration.execution.model_stage import AFTER_READ, END, ON_THE_WIRE, Actor, ModelClock, set_stage
from tests.integration.execution.model_world import World, quiet

_EXAMPLES = int(os.environ.get("TRADEWIRE_MODEL_EXAMPLES", "60"))
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    # Without a database, a run does not depend on earlier runs. The printed blob can repeat an example. Shrinking is
    # off, because it would take longer than the test's time limit.
    database=None,
    # The suite runs the same examples each time; a search with TRADEWIRE_MODEL_EXAMPLES runs new ones.
    derandomize="TRADEWIRE_MODEL_EXAMPLES" not in os.environ,
    phases=(Phase.explicit, Phase.generate),
)
_ANY = st.integers(0, 11)
_SYMBOL = st.sampled_from(["AAPL", "AAPL", "MSFT"])
# Buy, sell the whole position, or sell a part.
_ACTION = st.sampled_from([("BUY", None), ("BUY", None), ("SELL", None), ("SELL", 2)])
_UNTIL = st.sampled_from(
    [
        "worker.after_take",
        AFTER_READ,
        "worker.after_cancel_mark",
        "worker.after_intent",
        *4 * [ON_THE_WIRE],
        *3 * ["worker.after_send"],
        "worker.after_record",
        "worker.after_handover",
        *4 * [END],
    ]
)
_KEEPER_UNTIL = st.sampled_from(
    [
        "keeper.after_mark",
        "keeper.after_lease_sweep",
        "keeper.after_lookup",
        "keeper.after_resolve",
        "keeper.after_poll",
    ]
)
_WORD = st.sampled_from(WORDS)
_FAULTS = (
    "away",
    "unreadable",
    "refuses",
    "reads lag",
    "the queue is flushed",
    "the queue is away",
    "commits lose their answers",
    "commits lose their answers",
)
_MOST_KEEPERS = 3


class Model(RuleBasedStateMachine):
    """The rules are all events that can happen to the system; an example is a sequence of them."""

    world: ClassVar[World]

    @initialize(signals=st.lists(st.tuples(_SYMBOL, _ACTION), min_size=1, max_size=5))
    def begin(self, signals: list[tuple[str, tuple[str, int | None]]]) -> None:
        self.world.begin()
        self.properties = Properties(self.world)
        self.jobs: dict[int, Actor] = {}
        self.rounds: list[Actor] = []
        for symbol, action in signals:
            self.world.send(symbol, action, enqueue=True)

    # Signals arrive, and a person requeues and discards dead letters.

    @rule(symbol=_SYMBOL, action=_ACTION, enqueue=st.booleans())
    def a_signal_is_recorded(self, symbol: str, action: tuple[str, int | None], enqueue: bool) -> None:  # noqa: FBT001 -- drawn
        self.world.send(symbol, action, enqueue=enqueue)

    @precondition(lambda self: self._dead())
    @rule(number=_ANY, ends=st.sampled_from(["requeued", "requeued, however old", "discarded"]))
    def a_person_moves_a_dead_letter_on(self, number: int, ends: str) -> None:
        dead = self._dead()
        execution_id = dead[number % len(dead)]["execution_id"]
        if ends == "discarded":
            self.world.dead_letters.discard(execution_id, by="model", why="no longer wanted")
        else:
            self.properties.requeued[execution_id] += 1
            old = ends != "requeued"
            self.world.dead_letters.requeue(execution_id, by="model", why="try again", accept_age=old)

    def _dead(self) -> list[dict[str, object]]:
        return self.world.rows("SELECT execution_id FROM execution WHERE state = 'dead' ORDER BY seq")

    # Workers and keepers work, freeze, continue and die.

    @precondition(lambda self: self.world.queues.jobs and len(self.jobs) < len(self.world.recipes))
    @rule(number=_ANY, until=_UNTIL, word=_WORD)
    def a_job_is_delivered(self, number: int, until: str, word: str) -> None:
        job = self.world.queues.jobs.pop(number % len(self.world.queues.jobs))
        self.world.queues.delivered.append(job)
        self._work(job.execution_id, until, word)

    @precondition(lambda self: self.world.queues.delivered and len(self.jobs) < len(self.world.recipes))
    @rule(number=_ANY, until=_UNTIL, word=_WORD)
    def a_job_is_delivered_again(self, number: int, until: str, word: str) -> None:
        delivered = self.world.queues.delivered
        self._work(delivered[-1 - number % len(delivered)].execution_id, until, word)

    def _work(self, execution_id: object, until: str, word: str) -> None:
        worker = min(set(range(len(self.world.recipes))) - set(self.jobs))
        self.jobs[worker] = self.world.job(worker, execution_id)
        self._go_on(self.jobs[worker], until, word)

    @precondition(lambda self: self.jobs)
    @rule(number=_ANY, until=_UNTIL, word=_WORD)
    def a_worker_goes_on(self, number: int, until: str, word: str) -> None:
        self._go_on(self._worker(number), until, word)

    @precondition(lambda self: self.jobs)
    @rule(number=_ANY)
    def a_worker_dies(self, number: int) -> None:
        self._worker(number).kill()
        self._dismiss()

    def _worker(self, number: int) -> Actor:
        return self.jobs[sorted(self.jobs)[number % len(self.jobs)]]

    @precondition(lambda self: len(self.rounds) < _MOST_KEEPERS)
    @rule(name=st.sampled_from(["sweep", "unknown", "follow"]), until=_KEEPER_UNTIL)
    def a_keeper_stops_in_its_round(self, name: str, until: str) -> None:
        self.rounds.append(self.world.round(name))
        self._go_on(self.rounds[-1], until)

    @precondition(lambda self: self.rounds)
    @rule(number=_ANY, dies=st.booleans())
    def a_keeper_goes_on_or_dies(self, number: int, dies: bool) -> None:  # noqa: FBT001 -- drawn
        actor = self.rounds[number % len(self.rounds)]
        if dies:
            actor.kill()
            self._dismiss()
        else:
            self._go_on(actor, END)

    @rule()
    def a_keeper_does_a_whole_round(self) -> None:
        self._keep()

    def _keep(self) -> None:
        fine = self.world.broker.weather == "fine" and not self.world.rows("SELECT 1 FROM account_refusal")
        self.world.keep()
        if fine:
            self.properties.check_followed()

    def _go_on(self, actor: Actor, until: str, word: str = "accept") -> None:
        actor.go_on(until=until, word=word)
        self._dismiss()

    def _dismiss(self) -> None:
        self.jobs = {worker: actor for worker, actor in self.jobs.items() if not actor.over}
        self.rounds = [actor for actor in self.rounds if not actor.over]

    # Time passes.

    @rule(seconds=st.sampled_from([0.3, 0.6, 1.5, 4.0]))
    def time_passes(self, seconds: float) -> None:
        while seconds > 0:
            self.world.jump(min(seconds, 1.0))
            self.world.renew(self.jobs)
            seconds -= 1.0

    @rule(seconds=st.sampled_from([1.8, 1.8, 3.5, 3.5, 16.0, 35.0]))
    def everybody_sleeps(self, seconds: float) -> None:
        self.world.jump(seconds)

    @precondition(lambda self: self.jobs)
    @rule(number=_ANY, rounds=st.integers(1, 4), again=st.booleans(), until=_UNTIL, word=_WORD)
    def a_worker_sleeps_past_its_lease(self, number: int, rounds: int, again: bool, until: str, word: str) -> None:  # noqa: FBT001 -- drawn
        """The keeper ends the lease of a sleeping worker. Another worker may claim the execution before it wakes."""
        zombie = self._worker(number)
        self.world.jump(3.5)
        for _ in range(rounds):
            self._keep()
            self.world.jump(1.0)
        if again and self.world.queues.jobs and len(self.jobs) < len(self.world.recipes):
            self._work(self.world.queues.jobs.pop(0).execution_id, until, word)
            self._go_on(zombie, END)

    @rule(seconds=st.sampled_from([6, 6, 20, 65]))
    def the_keeper_looks_on_while_time_passes(self, seconds: int) -> None:
        for _ in range(0, seconds, 5):
            self.world.jump(5)
            self._keep()

    # The broker, the queue and the record fail.

    @rule(fault=st.sampled_from(_FAULTS), many=st.integers(1, 3))
    def something_fails(self, fault: str, many: int) -> None:
        """The broker's reads, the queue, or the answers to the next COMMITs fail."""
        broker, queues = self.world.broker, self.world.queues
        match fault:
            case "reads lag":
                broker.lag_s = 0.4 * many
            case "the queue is flushed":
                queues.jobs.clear()
            case "the queue is away":
                queues.away = True
            case "commits lose their answers":
                self.world.record.losing = many
            case _:
                broker.weather = fault

    @precondition(lambda self: self.world.queues.away or self.world.broker.weather != "fine")
    @rule()
    def all_is_well_again(self) -> None:
        self.world.queues.away, self.world.broker.weather, self.world.broker.lag_s = False, "fine", 0.0

    @precondition(lambda self: self.world.broker.on_the_way)
    @rule(number=_ANY)
    def a_late_request_arrives(self, number: int) -> None:
        ways = self.world.broker.on_the_way
        self.world.broker.arrive(ways.pop(number % len(ways)).request)

    @precondition(lambda self: self._working())
    @rule(number=_ANY, event=st.sampled_from(["fill", "fill", "part", "canceled", "expired", "rejected"]))
    def the_market_moves(self, number: int, event: str) -> None:
        working = self._working()
        held = working[number % len(working)]
        if event == "fill":
            self.world.broker.fill(held, held.rest)
        elif event == "part" and held.rest > 1:
            self.world.broker.fill(held, held.rest - 1)
        elif event in ("canceled", "expired") or (event == "rejected" and not held.filled):
            held.status = OrderStatus(event)

    def _working(self) -> list[Held]:
        return [held for held in self.world.broker.book.values() if held.works]

    # The invariants.

    @invariant()
    def all_properties_hold(self) -> None:
        if hasattr(self, "properties"):
            self.properties.check()

    def teardown(self) -> None:
        if not hasattr(self, "properties"):
            return
        if sys.exc_info()[0] is None:
            self._settle()
        for actor in [*self.jobs.values(), *self.rounds]:
            actor.kill()

    def _settle(self) -> None:
        """End all faults, let all threads finish, and check that all is decided and equals the broker's book."""
        broker, queues = self.world.broker, self.world.queues
        broker.weather, broker.lag_s, queues.away, self.world.record.losing = "fine", 0.0, False, 0
        for actor in [*self.jobs.values(), *self.rounds]:
            actor.go_on()
        while broker.on_the_way:
            broker.arrive(broker.on_the_way.pop().request)
        for _ in range(_ROUNDS_TO_QUIET):
            self.world.jump(5)
            self._keep()
            self.world.deliver_all()
            self.properties.check()
            if not self._working() and not self.world.rows(_BUSY) and not self.world.rows(_REFUSED):
                break
            for held in self._working():
                broker.fill(held, held.rest)
        # The keeper looks up every half minute whether an order arrived late and filled.
        self.world.jump(30)
        self._keep()
        self.properties.check_end()


_ROUNDS_TO_QUIET = 60
# The keeper follows orders of a refused account again after the next probe, at most a minute later.
_REFUSED = "SELECT 1 FROM account_refusal LIMIT 1"
_BUSY = "SELECT 1 FROM execution WHERE state IN ('queued', 'held', 'submitting', 'unknown') LIMIT 1"


@pytest.fixture
def world(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    clock = ModelClock()
    set_stage(monkeypatch, clock)
    made = World(database_url, tmp_path, clock)
    with quiet():
        yield made
    made.close()


@pytest.mark.timeout(60 + 5 * _EXAMPLES)
def test_an_execution_has_at_most_one_order_and_ends_with_it_or_a_reason_whatever_happens(world: World) -> None:
    class ModelOfThisWorld(Model):
        pass

    ModelOfThisWorld.world = world
    run_state_machine_as_test(ModelOfThisWorld, settings=_SETTINGS)
