"""Compute how long it took until the executions of killed workers were decided. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

#: The time of an execution that was never decided.
NEVER_S = math.inf
#: The shown times. Of fewer than a hundred recoveries, p99 is the longest.
PERCENTS = {"p50": 50, "p99": 99, "max": 100}


@dataclass(frozen=True, kw_only=True)
class InterruptedWorker:
    """The executions that a killed worker held, and when it was killed, by the database's clock."""

    killed_at: datetime
    execution_ids: tuple[UUID, ...]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How long an execution took to be decided after the worker that held it was killed."""

    execution_id: UUID
    #: Seconds since the last kill: when the execution's next worker is killed too, the time starts again.
    seconds: float
    #: How many workers were killed while they held the execution.
    kills: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the recovery as JSON; the seconds are null if the execution was never decided."""
        return {"execution_id": str(self.execution_id), "seconds": _finite(self.seconds), "kills": self.kills}


def recoveries_of(
    interrupted: Sequence[InterruptedWorker], decided_at: Mapping[UUID, datetime | None]
) -> list[Recovery]:
    """Return the recovery of each execution that a killed worker held, the longest first."""
    kills: dict[UUID, list[datetime]] = {}
    for kill in interrupted:
        for execution_id in kill.execution_ids:
            kills.setdefault(execution_id, []).append(kill.killed_at)
    recoveries = [
        Recovery(execution_id=execution_id, seconds=_seconds(max(at), decided_at.get(execution_id)), kills=len(at))
        for execution_id, at in kills.items()
    ]
    return sorted(recoveries, key=lambda recovery: recovery.seconds, reverse=True)


def summary_of(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """Return the count, p50, p99 and maximum in seconds; a time is null without recoveries, or if it is infinite."""
    times = {name: _finite(percentile(recoveries, percent)) for name, percent in PERCENTS.items()}
    return {"count": len(recoveries), **times}


def percentile(recoveries: Sequence[Recovery], percent: float) -> float | None:
    """Return the seconds within which *percent* of the executions were decided; None without recoveries."""
    if not recoveries:
        return None
    place = max(0, math.ceil(len(recoveries) * percent / 100) - 1)
    return sorted(recovery.seconds for recovery in recoveries)[place]


def _seconds(killed_at: datetime, decided_at: datetime | None) -> float:
    # The worker may have recorded its decision just before the kill was noted.
    return NEVER_S if decided_at is None else max(0.0, (decided_at - killed_at).total_seconds())


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == NEVER_S else round(seconds, 2)
