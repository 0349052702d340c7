"""How long it took until what a killed worker held was decided. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pipeline.entrypoints.drill.audit import Row

#: Never decided: worse than any figure.
NEVER_S = math.inf


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """What a killed worker held, and when it was killed (the database's clock)."""

    killed_at: datetime
    execution_ids: tuple[UUID, ...]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How long an execution took to be decided after the worker that held it was killed.

    Attributes:
        execution_id: Which.
        seconds: From the last kill: when its next worker is killed too, it has to be recovered anew.
        kills: How many workers were killed over it.
    """

    execution_id: UUID
    seconds: float
    kills: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return it with null for never."""
        return {"execution_id": str(self.execution_id), "seconds": _finite(self.seconds), "kills": self.kills}


def recoveries_of(interrupted: Sequence[Interrupted], executions: Sequence[Row]) -> list[Recovery]:
    """Return one for each execution that a killed worker held, the longest first."""
    decided: dict[UUID, datetime | None] = {row["execution_id"]: row["decided_at"] for row in executions}
    kills: dict[UUID, list[datetime]] = {}
    for kill in interrupted:
        for execution_id in kill.execution_ids:
            kills.setdefault(execution_id, []).append(kill.killed_at)
    recoveries = [
        Recovery(execution_id=execution_id, seconds=_seconds(max(at), decided.get(execution_id)), kills=len(at))
        for execution_id, at in kills.items()
    ]
    return sorted(recoveries, key=lambda recovery: recovery.seconds, reverse=True)


def figures(recoveries: Sequence[Recovery]) -> dict[str, Any]:
    """Return how many there were, p50, p99 and the longest; null where nothing was, or where one never came."""
    return {
        "count": len(recoveries),
        **{
            name: _finite(percentile(recoveries, percent)) for name, percent in (("p50", 50), ("p99", 99), ("max", 100))
        },
    }


def percentile(recoveries: Sequence[Recovery], percent: float) -> float | None:
    """Return the least number of seconds within which *percent* of them were over; None when there are none."""
    if not recoveries:
        return None
    place = max(0, math.ceil(len(recoveries) * percent / 100) - 1)
    return sorted(recovery.seconds for recovery in recoveries)[place]


def _seconds(killed_at: datetime, decided_at: datetime | None) -> float:
    # Decided in the moment of the kill is no waiting.
    return NEVER_S if decided_at is None else max(0.0, (decided_at - killed_at).total_seconds())


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == NEVER_S else round(seconds, 2)
