"""The schedule depends only on its seed, and contains every kind of event."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest

from pipeline.entrypoints.drill.schedule import (
    FAULTS,
    LATENCY,
    REFUSALS,
    REFUSALS_FROM_S,
    SHORTEST_S,
    Act,
    DrillEvent,
    Target,
    lasts_s,
    plan,
    storms,
)
from workers.exchange.faults import FaultKind, FaultPlan

ACCOUNTS = ("argo", "prop_firm")
SEEDS = range(20)


def kinds(events: list[DrillEvent]) -> set[str]:
    return {fault["kind"] for event in events for fault in event.faults}


def test_the_same_seed_plans_the_same_drill() -> None:
    assert plan(7, seconds=100, accounts=ACCOUNTS) == plan(7, seconds=100, accounts=ACCOUNTS)


def test_another_seed_plans_another_drill() -> None:
    assert plan(7, seconds=100, accounts=ACCOUNTS) != plan(8, seconds=100, accounts=ACCOUNTS)


@pytest.mark.parametrize("seconds", [SHORTEST_S, 100.0, 500.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_events_come_in_order_and_within_the_time(seed: int, seconds: float) -> None:
    events = plan(seed, seconds=seconds, accounts=ACCOUNTS)

    assert all(one.at_s <= two.at_s for one, two in pairwise(events))
    assert events[0].at_s == 0
    assert events[-1].at_s <= seconds


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shortest_drill_breaks_everything_too(seed: int) -> None:
    events = plan(seed, seconds=SHORTEST_S, accounts=ACCOUNTS)

    killed = {event.target for event in events if event.act is Act.KILL}
    frozen = {event.target for event in events if event.act is Act.FREEZE}
    assert set(Target) == killed
    assert frozen >= {Target.WORKER, Target.KEEPER, Target.PRODUCER}
    assert {Act.FLUSH, Act.CUT} <= {event.act for event in events}


def test_a_long_drill_turns_on_every_fault_of_the_exchange() -> None:
    events = plan(1, seconds=REFUSALS_FROM_S, accounts=ACCOUNTS)

    assert {kind.value for kind in FaultKind} == kinds(events)


def test_a_short_drill_has_no_refused_account() -> None:
    events = plan(1, seconds=SHORTEST_S, accounts=ACCOUNTS)

    assert {kind for _, kind, _ in FAULTS} == kinds(events)
    assert kinds(events).isdisjoint(REFUSALS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exchange_understands_every_plan_of_faults(seed: int) -> None:
    for event in plan(seed, seconds=100, accounts=ACCOUNTS):
        FaultPlan(seed=seed, faults=[dict(fault) for fault in event.faults])  # type: ignore[list-item]


@pytest.mark.parametrize("seed", SEEDS)
def test_recovery_is_measured_only_while_the_broker_answers_and_nothing_else_breaks(seed: int) -> None:
    events = plan(seed, seconds=200, accounts=ACCOUNTS)
    measured = [event for event in events if event.measured]

    assert measured
    for kill in measured:
        faults = [event for event in events if event.act is Act.FAULTS and event.at_s <= kill.at_s][-1].faults
        after = [event for event in events if kill.at_s < event.at_s < kill.at_s + 5 and not event.measured]
        assert faults == (LATENCY,)
        assert after == []


@pytest.mark.parametrize("seed", SEEDS)
def test_every_freeze_is_longer_than_a_lease_and_no_other_event_has_a_duration(seed: int) -> None:
    events = plan(seed, seconds=100, accounts=ACCOUNTS)

    freezes = [event.seconds for event in events if event.act is Act.FREEZE]
    assert freezes
    assert all(4 <= seconds <= 6 for seconds in freezes)


def test_a_short_drill_sends_more_slowly_than_asked() -> None:
    assert lasts_s(100, 20) == SHORTEST_S
    assert lasts_s(2000, 20) == 100


def test_a_storm_ends_with_the_last_of_its_faults() -> None:
    ends = {event.at_s for event in plan(1, seconds=500.0, accounts=ACCOUNTS) if event.faults == (LATENCY,)}

    assert {end for _, end in storms(500.0)} <= ends


def test_the_events_of_a_seed_stay_what_they_were() -> None:
    # The schedule of a seed must not change, so that a seed which found a fault finds it again in a later version.
    events = [event for event in plan(11, seconds=500.0, accounts=ACCOUNTS) if event.target is not Target.TRACKER]

    assert (len(events), sha256(repr(events).encode()).hexdigest()[:16]) == (296, "b041bebfaaeffa68")
