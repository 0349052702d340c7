"""The redispatcher handles each lost job, due hold and expired lease once, and does not flood the queue."""

from __future__ import annotations

import time
from uuid import UUID

from tests.factories import Core, signal, until


def jobs(core: Core) -> list[str]:
    """Return the execution id of each job in the queue."""
    return [job_id.rpartition("-")[0] for job_id in core.queues.queue("argo").job_ids]


def due(core: Core, *ids: UUID) -> None:
    for execution_id in ids:
        core.due_now(execution_id)


def popped(core: Core) -> None:
    """Delete all jobs from the queue, as if workers had taken them and died."""
    core.queues.connection.delete(core.queues.queue("argo").key)


def test_a_recorded_execution_that_was_never_enqueued_is_enqueued_after_its_grace(core: Core) -> None:
    execution_id = core.send()

    assert core.sweep.run_once() == 0  # The process that recorded it has one second to enqueue it.
    due(core, execution_id)
    assert core.sweep.run_once() == 1

    assert jobs(core) == [str(execution_id)]


def test_a_flushed_queue_is_filled_again(core: Core) -> None:
    rows = [core.record_signal(signal(s)) for s in ("AAPL", "MSFT", "TSLA")]
    core.dispatcher.enqueue(rows)
    core.queues.connection.flushall()
    due(core, *(row.execution_id for row in rows))

    core.sweep.run_once()

    assert sorted(jobs(core)) == sorted(str(row.execution_id) for row in rows)


def test_a_job_that_is_still_in_the_queue_is_not_doubled(core: Core) -> None:
    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])

    for _ in range(5):
        due(core, row.execution_id)
        core.sweep.run_once()

    assert len(jobs(core)) == 1


def test_a_backlog_longer_than_a_batch_is_not_enqueued_again_and_again(core: Core) -> None:
    core.rows(
        "INSERT INTO signal (signal_id, source, content_hash, symbol, asset_class, action, intent, entry_price) "
        "SELECT gen_random_uuid(), 'test', n::text, 'Q' || n, 'us_equity', 'BUY', 'auto', 10 "
        "FROM generate_series(1, 450) n"
    )
    core.rows(
        "INSERT INTO execution (execution_id, signal_id, executor_id, mode, symbol, action, state, due_at, moved_by, "
        "job_id, enqueues) "
        "SELECT gen_random_uuid(), signal_id, 'argo', 'exchange', symbol, 'BUY', 'queued', now(), 'test', 'lost', 1 "
        "FROM signal"
    )
    for _ in range(5):
        core.sweep.run_once()
    assert len(jobs(core)) == 450

    for _ in range(6):
        core.rows("UPDATE execution SET due_at = clock_timestamp()")
        core.sweep.run_once()

    assert len(jobs(core)) == 450


def test_a_held_execution_is_enqueued_when_its_hold_is_over_and_not_before(core: Core) -> None:
    core.faults({"on": "submit", "kind": "429", "count": 1})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "held"
    core.rows("UPDATE execution SET due_at = clock_timestamp() + interval '1 hour'")
    assert core.sweep.run_once() == 0

    due(core, execution_id)

    assert core.sweep.run_once() == 1
    assert jobs(core) == [str(execution_id)]
    assert core.run(execution_id)["order_id"] is not None


def test_a_held_execution_whose_job_a_worker_has_is_not_enqueued_again_at_once(core: Core) -> None:
    core.faults({"on": "submit", "kind": "429", "count": 1})
    execution_id = core.send()
    core.run(execution_id)
    due(core, execution_id)
    assert core.sweep.run_once() == 1

    popped(core)

    assert [core.sweep.run_once() for _ in range(20)] == [0] * 20
    # Later it is enqueued again, because the worker may have died with the job.
    until(core.sweep.run_once)
    assert jobs(core) == [str(execution_id)]


def test_only_the_first_execution_of_a_symbol_is_enqueued(core: Core) -> None:
    first, second, other = core.send(), core.send(), core.send("MSFT")
    due(core, first, second, other)

    core.sweep.run_once()

    assert sorted(jobs(core)) == sorted([str(first), str(other)])


def test_a_lease_that_ran_out_without_an_intent_goes_back_to_the_queue(core: Core) -> None:
    execution_id = core.send()
    core.recipe().claim(execution_id)
    assert core.sweep.free_leases() == 0

    core.rows("UPDATE execution SET lease_until = clock_timestamp() - interval '1 ms'")
    assert core.sweep.run_once() >= 1

    execution = core.execution(execution_id)
    assert (execution["state"], execution["fence"], execution["attempts"]) == ("queued", 2, 0)
    assert core.run(execution_id)["order_id"] is not None


def test_a_lease_that_ran_out_with_an_intent_is_unknown_and_names_the_worker(core: Core) -> None:
    execution_id = core.send()
    taken = core.recipe(worker="gone").claim(execution_id)
    assert taken is not None
    core.recipe(worker="gone").check.decide(taken)
    core.rows("UPDATE execution SET lease_until = clock_timestamp() - interval '1 ms'")

    core.sweep.run_once()

    execution = core.execution(execution_id)
    assert (execution["state"], execution["reason_code"]) == ("unknown", "lease_ran_out")
    assert execution["reason_facts"] == {"worker": "gone"}


def test_a_lease_that_is_renewed_is_left_alone(core: Core) -> None:
    execution_id = core.send()
    asked_at = time.monotonic()
    taken = core.recipe().claim(execution_id)
    assert taken is not None
    with core.leases.keep(execution_id, taken.fence, asked_at=asked_at):
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            assert core.sweep.free_leases() == 0
            time.sleep(0.1)
    assert core.state(execution_id) == "submitting"


def test_two_keepers_at_once_enqueue_an_execution_once(core: Core) -> None:
    ids = [core.send(symbol) for symbol in ("AAPL", "MSFT", "TSLA", "NVDA")]
    due(core, *ids)

    enqueued = sum(core.pool.map(lambda _: core.sweep.run_once(), range(4)))

    assert enqueued == len(ids)
    assert sorted(jobs(core)) == sorted(map(str, ids))
