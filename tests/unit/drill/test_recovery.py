"""Recovery counts from the kill to the decision, by the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from pipeline.entrypoints.drill.recovery import (
    NEVER_S,
    InterruptedWorker,
    Recovery,
    percentile,
    recoveries_of,
    summary_of,
)

KILLED = datetime(2026, 1, 2, tzinfo=UTC)


def decided(execution_id: UUID, after_s: float | None) -> dict[UUID, datetime | None]:
    return {execution_id: None if after_s is None else KILLED + timedelta(seconds=after_s)}


def test_each_execution_of_a_killed_worker_is_timed_and_the_longest_comes_first() -> None:
    quick, slow = uuid4(), uuid4()
    kill = InterruptedWorker(killed_at=KILLED, execution_ids=(quick, slow))

    found = recoveries_of([kill], decided(quick, 3.0) | decided(slow, 4.5))

    assert [(slow, 4.5), (quick, 3.0)] == [(recovery.execution_id, recovery.seconds) for recovery in found]


def test_an_execution_that_was_never_decided_has_the_longest_time() -> None:
    never = uuid4()
    kill = InterruptedWorker(killed_at=KILLED, execution_ids=(never,))

    (found,) = recoveries_of([kill], decided(never, None))

    assert found.seconds == NEVER_S
    assert {"execution_id": str(never), "seconds": None, "kills": 1} == found.to_json()


def test_an_execution_whose_next_worker_is_killed_too_is_counted_from_the_last_kill() -> None:
    one = uuid4()
    kills = [InterruptedWorker(killed_at=KILLED + timedelta(seconds=at), execution_ids=(one,)) for at in (4, 0)]

    (found,) = recoveries_of(kills, decided(one, 7.5))

    assert (found.seconds, found.kills) == (3.5, 2)


def test_an_execution_decided_before_the_kill_was_noted_took_no_time() -> None:
    one = uuid4()

    (found,) = recoveries_of([InterruptedWorker(killed_at=KILLED, execution_ids=(one,))], decided(one, -0.01))

    assert found.seconds == 0.0


def test_a_percentile_is_a_value_that_was_measured() -> None:
    times = [Recovery(execution_id=uuid4(), seconds=float(second)) for second in range(1, 201)]

    assert percentile(times, 50) == 100.0
    assert percentile(times, 99) == 198.0
    assert percentile(times, 100) == 200.0
    assert percentile([], 50) is None


def test_without_a_recovery_there_are_no_figures() -> None:
    assert summary_of([]) == {"count": 0, "p50": None, "p99": None, "max": None}
