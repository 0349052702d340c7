"""Decide what goes wrong when: a pure function of a seed.

Three kinds of windows take turns. *Calm*: the broker answers and only workers are killed; how long their executions
then take is measured. *Storm*: the broker's answers go wrong, and workers are killed and frozen meanwhile. *Rough*:
the servers, the exchange, the keepers and the producer are killed, frozen, flushed and cut off.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: No drill is shorter: every kind of window needs its time.
SHORTEST_S = 36.0
#: A refused account is probed once a minute; shorter drills leave that out.
REFUSALS_FROM_S = 60.0
#: What a round of windows lasts, about.
_ROUND_S = 42.0
#: Until so long before the end of a calm window workers are killed: their executions get the rest of it.
_RECOVERY_S = 5.0
#: How long a handful of faults is on.
_PHASE_S = 4.0
#: What of a round is calm; storm and rough share the rest.
_CALM = 0.4

Fault = dict[str, Any]


class Act(StrEnum):
    """What is done."""

    KILL = "kill"
    FREEZE = "freeze"
    FLUSH = "flush"
    CUT = "cut"
    #: Tell the exchange which faults are on from now on.
    FAULTS = "faults"


class Target(StrEnum):
    """What it is done to."""

    WORKER = "worker"
    KEEPER = "keeper"
    PRODUCER = "producer"
    EXCHANGE = "exchange"
    VALKEY = "valkey"
    POSTGRES = "postgres"


@dataclass(frozen=True, kw_only=True)
class DrillEvent:
    """One thing that goes wrong, so many seconds after the first signal."""

    at_s: float
    act: Act
    target: Target
    #: Which one of several, counted round.
    pick: int = 0
    #: How long a freeze lasts.
    seconds: float = 0.0
    #: Measure how long what it interrupts takes to be decided.
    measured: bool = False
    faults: tuple[Fault, ...] = ()

    @property
    def name(self) -> str:
        """Return what it is called in the tally, as in `kill worker`."""
        return f"{self.act} {self.target}"


#: The broker is never instant: without this nothing would be caught in the middle of a call.
LATENCY: Fault = {"on": "submit", "kind": "latency", "seconds": 0.1}

#: Every fault of the exchange: what it hits, its kind, and for how many seconds (from, to), where it lasts.
FAULTS: Sequence[tuple[str, str, tuple[float, float] | None]] = (
    ("any", "latency", (0.2, 0.6)),
    ("any", "429", None),
    ("any", "5xx_before", None),
    ("submit", "5xx_after", None),
    ("any", "drop_before", None),
    ("submit", "drop_after", None),
    ("any", "silence_before", (0.5, 6.0)),
    ("submit", "silence_after", (0.5, 6.0)),
    ("any", "garbage_before", None),
    ("submit", "garbage", None),
    ("any", "html", None),
    ("submit", "reject", None),
    ("submit", "late_reject", None),
    ("submit", "partial_fill", (0.5, 2.0)),
    ("submit", "no_fill", (0.0, 3.0)),
    ("lookup", "lagging_reads", (0.2, 1.5)),
    ("list", "lagging_reads", (0.2, 1.5)),
    ("stream", "late_event", (0.5, 2.0)),
    ("stream", "double_event", None),
    ("stream", "drop_event", None),
)
#: What holds an executor's entries until the next probe: once each, at one account.
REFUSALS = ("unauthorized", "forbidden_account")


def lasts_s(signals: int, pace: float) -> float:
    """Return how long *signals* at *pace* a second last; a short drill sends more slowly, for all to happen."""
    return max(signals / pace, SHORTEST_S)


def plan(seed: int, *, seconds: float, accounts: Sequence[str]) -> list[DrillEvent]:
    """Return everything that goes wrong in *seconds*, in order of time. *accounts* are the keys at the exchange."""
    dice = random.Random(f"drill schedule {seed}")  # noqa: S311 -- not a secret
    rounds = max(1, round(seconds / _ROUND_S))
    round_s = seconds / rounds
    calm_s, window_s = round_s * _CALM, round_s * (1 - _CALM) / 2
    events = [_faults(0.0, [LATENCY])]
    for number in range(rounds):
        begins = number * round_s
        last = number == rounds - 1
        refused = dice.choice(list(accounts)) if last and seconds >= REFUSALS_FROM_S else None
        events += _calm(dice, begins, calm_s)
        events += _storm(dice, begins + calm_s, window_s, refused)
        events += _rough(dice, begins + calm_s + window_s, window_s)
    return sorted(events, key=lambda event: event.at_s)


def _calm(dice: random.Random, begins: float, window_s: float) -> Iterator[DrillEvent]:
    """Kill a worker every other second; the last in time for its execution to be taken over in peace."""
    at_s = begins + 2.0
    while at_s < begins + window_s - _RECOVERY_S:
        yield DrillEvent(at_s=at_s, act=Act.KILL, target=Target.WORKER, pick=dice.randrange(1000), measured=True)
        at_s += dice.uniform(1.2, 2.0)


def _storm(dice: random.Random, begins: float, window_s: float, refused: str | None) -> Iterator[DrillEvent]:
    """Turn on every fault once, a handful at a time, while workers are killed and frozen."""
    faults = [_fault(dice, *each) for each in FAULTS]
    dice.shuffle(faults)
    phases = max(2, round(window_s / _PHASE_S))
    for phase in range(phases):
        active = [LATENCY, *faults[phase::phases]]
        if refused is not None and phase == 0:
            active += [{"on": "submit", "kind": kind, "key": refused, "count": 1} for kind in REFUSALS]
        yield _faults(begins + phase * window_s / phases, active)
    for _ in range(max(2, round(window_s / 3))):
        at_s = begins + dice.uniform(0, window_s - 1)
        act = dice.choice([Act.KILL, Act.FREEZE])
        yield DrillEvent(
            at_s=at_s, act=act, target=Target.WORKER, pick=dice.randrange(1000), seconds=dice.uniform(4, 6)
        )
    yield _faults(begins + window_s, [LATENCY])


def _rough(dice: random.Random, begins: float, window_s: float) -> Iterator[DrillEvent]:
    """Do each of these once, spread over the window in random order; a worker is frozen meanwhile."""
    what = [
        (Act.FLUSH, Target.VALKEY),
        (Act.KILL, Target.VALKEY),
        (Act.KILL, Target.POSTGRES),
        (Act.CUT, Target.POSTGRES),
        (Act.KILL, Target.EXCHANGE),
        (Act.KILL, Target.KEEPER),
        (Act.FREEZE, Target.KEEPER),
        (Act.KILL, Target.PRODUCER),
        (Act.FREEZE, Target.PRODUCER),
        (Act.FREEZE, Target.WORKER),
    ]
    dice.shuffle(what)
    step = (window_s - 1) / len(what)
    for place, (act, target) in enumerate(what):
        yield DrillEvent(
            at_s=begins + place * step + dice.uniform(0, step / 2),
            act=act,
            target=target,
            pick=dice.randrange(1000),
            seconds=dice.uniform(4, 6) if act is Act.FREEZE else 0.0,
        )


def _fault(dice: random.Random, on: str, kind: str, lasts: tuple[float, float] | None) -> Fault:
    fault: Fault = {"on": on, "kind": kind, "probability": round(dice.uniform(0.05, 0.10), 3)}
    return fault if lasts is None else fault | {"seconds": round(dice.uniform(*lasts), 2)}


def _faults(at_s: float, faults: Sequence[Fault]) -> DrillEvent:
    return DrillEvent(at_s=at_s, act=Act.FAULTS, target=Target.EXCHANGE, faults=tuple(faults))
