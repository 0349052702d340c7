"""Decide what is broken and when, as a pure function of a seed.

Three kinds of windows take turns. *Calm*: the broker answers and only workers are killed; the drill measures how long
it takes until their executions are decided. *Storm*: the broker's answers go wrong, and workers are killed and frozen.
*Rough*: Valkey, PostgreSQL, the exchange, a keeper, the tracker and the producer are killed; a keeper, the producer
and a worker are frozen; Valkey is emptied, and sessions of PostgreSQL are ended.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: No drill is shorter, because every kind of window needs its time.
SHORTEST_S = 36.0
#: Drills shorter than this leave out the fault of a refused account, since the account is tried only once a minute.
REFUSALS_FROM_S = 60.0
#: About how long a round of windows lasts.
_ROUND_S = 42.0
#: In the last seconds of a calm window no worker is killed, so that the executions are recovered within the window.
_RECOVERY_S = 5.0
#: How long one group of faults is active.
_PHASE_S = 4.0
#: The share of a round that is calm; the storm and the rough window each have half of the rest.
_CALM = 0.4

#: A fault as the exchange's `/admin/faults` reads it.
FaultBody = dict[str, Any]


class Act(StrEnum):
    """The kinds of damage that an event can do."""

    KILL = "kill"
    FREEZE = "freeze"
    FLUSH = "flush"
    CUT = "cut"
    #: Replace the active faults of the exchange.
    FAULTS = "faults"


class Target(StrEnum):
    """The process or server that an event hits."""

    WORKER = "worker"
    KEEPER = "keeper"
    TRACKER = "tracker"
    PRODUCER = "producer"
    EXCHANGE = "exchange"
    VALKEY = "valkey"
    POSTGRES = "postgres"


@dataclass(frozen=True, kw_only=True)
class DrillEvent:
    """Something that is broken, *at_s* seconds after the first signal."""

    at_s: float
    act: Act
    target: Target
    #: Selects one of several processes: this number modulo their count.
    pick: int = 0
    #: The length of a freeze.
    seconds: float = 0.0
    #: Whether to measure how long the interrupted executions take to be decided.
    measured: bool = False
    faults: tuple[FaultBody, ...] = ()

    @property
    def name(self) -> str:
        """Return the name under which the event is counted, such as `kill worker`."""
        return f"{self.act} {self.target}"


#: Always active: if the broker answered at once, no worker would be killed in the middle of a call.
LATENCY: FaultBody = {"on": "submit", "kind": "latency", "seconds": 0.1}

#: Every fault of the exchange but `REFUSALS`: what it hits, its kind, and the fewest and most seconds if it has a
#: duration.
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
#: Faults that hold an executor's entries until its account is tried again. Each happens once, at one account.
REFUSALS = ("unauthorized", "forbidden_account")


def lasts_s(signals: int, pace: float) -> float:
    """Return the seconds that a drill needs to send *signals*, *pace* a second; at least `SHORTEST_S`."""
    return max(signals / pace, SHORTEST_S)


def plan(seed: int, *, seconds: float, accounts: Sequence[str]) -> list[DrillEvent]:
    """Return the events of a drill of *seconds*, in order of time. *accounts* are the keys at the exchange."""
    dice = random.Random(f"drill schedule {seed}")  # noqa: S311 -- not a secret
    rounds, round_s, calm_s, window_s = _windows(seconds)
    events = [_faults(0.0, [LATENCY])]
    for number in range(rounds):
        begins = number * round_s
        last = number == rounds - 1
        refused = dice.choice(list(accounts)) if last and seconds >= REFUSALS_FROM_S else None
        events += _calm(dice, begins, calm_s)
        events += _storm(dice, begins + calm_s, window_s, refused)
        events += _rough(dice, begins + calm_s + window_s, window_s)
        events.append(_tracker_kill(seed, number, begins + calm_s + window_s, window_s))
    return sorted(events, key=lambda event: event.at_s)


def storms(seconds: float) -> list[tuple[float, float]]:
    """Return when each storm of a drill of *seconds* begins and ends."""
    rounds, round_s, calm_s, window_s = _windows(seconds)
    return [(number * round_s + calm_s, number * round_s + calm_s + window_s) for number in range(rounds)]


def _windows(seconds: float) -> tuple[int, float, float, float]:
    """Return the number of rounds, and the length of a round, of its calm window and of each other window."""
    rounds = max(1, round(seconds / _ROUND_S))
    round_s = seconds / rounds
    return rounds, round_s, round_s * _CALM, round_s * (1 - _CALM) / 2


def _calm(dice: random.Random, begins: float, window_s: float) -> Iterator[DrillEvent]:
    """Yield the kill of a worker every 1.2 to 2 seconds, until the recovery time begins."""
    at_s = begins + 2.0
    while at_s < begins + window_s - _RECOVERY_S:
        yield DrillEvent(at_s=at_s, act=Act.KILL, target=Target.WORKER, pick=dice.randrange(1000), measured=True)
        at_s += dice.uniform(1.2, 2.0)


def _storm(dice: random.Random, begins: float, window_s: float, refused: str | None) -> Iterator[DrillEvent]:
    """Yield every fault once, in groups, and kills and freezes of workers in the same time."""
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
    """Yield each kind of break once, spread over the window in random order."""
    breaks = [
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
    dice.shuffle(breaks)
    step = (window_s - 1) / len(breaks)
    for place, (act, target) in enumerate(breaks):
        yield DrillEvent(
            at_s=begins + place * step + dice.uniform(0, step / 2),
            act=act,
            target=target,
            pick=dice.randrange(1000),
            seconds=dice.uniform(4, 6) if act is Act.FREEZE else 0.0,
        )


def _tracker_kill(seed: int, number: int, begins: float, window_s: float) -> DrillEvent:
    # With dice of its own, so that the other events of a seed stay what they were before there was a tracker.
    dice = random.Random(f"drill tracker {seed} {number}")  # noqa: S311 -- not a secret
    return DrillEvent(at_s=begins + dice.uniform(0, window_s - 1), act=Act.KILL, target=Target.TRACKER)


def _fault(dice: random.Random, on: str, kind: str, lasts: tuple[float, float] | None) -> FaultBody:
    fault: FaultBody = {"on": on, "kind": kind, "probability": round(dice.uniform(0.05, 0.10), 3)}
    return fault if lasts is None else fault | {"seconds": round(dice.uniform(*lasts), 2)}


def _faults(at_s: float, faults: Sequence[FaultBody]) -> DrillEvent:
    return DrillEvent(at_s=at_s, act=Act.FAULTS, target=Target.EXCHANGE, faults=tuple(faults))
