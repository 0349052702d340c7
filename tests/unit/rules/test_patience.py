"""A hold for an outage lasts no longer than the entry stays fresh, in open-market time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from pipeline.model.reasons import Code, Reason
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.store.rows import ClaimedExecution
from tests.rule_cases import NOW, signal
from tests.unit.rules.test_hours import market, settings
from workers.execution.transitions import held
from workers.rules.retry_policy import Transition

AWAY = Reason(code=Code.BROKER_AWAY)


def hold(*, hours: Any, action: str = "BUY", **changes: Any) -> Transition:
    """Return the hold for a broker that has been away for five seconds."""
    sent = signal(action, **changes)
    taken = ClaimedExecution(
        execution_id=UUID(int=2),
        seq=1,
        signal_id=sent.signal_id,
        executor_id="argo",
        symbol=sent.symbol,
        action=Action(action),
        fence=1,
        generation=1,
        attempts=0,
        accept_age=False,
        from_state=State.HELD,
        created_at=sent.recorded_at,
        lease_until=NOW,
        now=NOW,
    )
    return held(taken, sent, settings(), AWAY, timedelta(seconds=5), market=hours)


def test_an_entry_of_last_night_outlives_a_broker_that_is_away_at_the_open() -> None:
    last_night = {"recorded_at": NOW - timedelta(hours=12)}

    assert hold(hours=market("2026-01-06T14:30:05"), **last_night).state is State.HELD
    assert hold(hours=market("2026-01-06T14:31:05"), **last_night).state is State.SKIPPED
    # Without market hours, the whole night counts as age.
    assert hold(hours=None, **last_night).state is State.SKIPPED


def test_an_entry_ends_when_it_is_too_old_and_says_what_held_it() -> None:
    move = hold(hours=None, recorded_at=NOW - timedelta(seconds=61))

    assert move.reason is not None
    assert (move.reason.code, move.reason.facts) == ("too_old", {"held_for": "broker_away"})
    young = hold(hours=None, recorded_at=NOW - timedelta(seconds=58))
    assert young.due_in is not None
    assert young.due_in < timedelta(seconds=2.1)


def test_what_may_be_an_exit_is_held_at_any_age() -> None:
    move = hold(hours=None, action="SELL", recorded_at=NOW - timedelta(days=3))

    assert (move.state, move.due_in) == (State.HELD, timedelta(seconds=5))
