"""SIGKILL ends a real process at every crash point, and another process finishes its execution.

Each test prints the time from the kill to the end of the execution, which includes the start of the other process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from rq.registry import FailedJobRegistry

from pipeline.model.crash_points import POINTS
from pipeline.store.rows import ExecutionRow
from tests.core_fixtures import Processes, Started
from tests.factories import WAIT_S, Core, json_line, signal, until
from workers.execution.process import work
from workers.keeper.process import keep

pytestmark = pytest.mark.timeout(120)

#: The crash points of a producer, and of a worker that runs an ordinary entry.
SENDER = [point for point in POINTS if point.startswith(("intake.", "relay."))]
WORKER = [point for point in POINTS if point.startswith("worker.") and point != "worker.after_cancel_mark"]


@contextmanager
def beside(run: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a process that is not killed, as a thread, for the time of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def a_keeper(core: Core) -> Callable[[threading.Event], None]:
    return lambda stop: keep(
        core.executors,
        settings=core.settings,
        database_url=core.database_url,
        redis_url=core.redis_url,
        exchange_url=core.exchange.url,
        stop=stop,
    )


def a_worker(core: Core) -> Callable[[threading.Event], None]:
    return lambda stop: work(
        core.executors["argo"],
        settings=core.settings,
        database_url=core.database_url,
        redis_url=core.redis_url,
        exchange_url=core.exchange.url,
        stop=stop,
    )


def armed(processes: Processes, core: Core, point: str, *arguments: str, stdin: str | None = None) -> Started:
    return processes.start(core, *arguments, stdin=stdin, TRADEWIRE_CRASH_AT=point)


def recovered(point: str, died_at: float, said: Callable[[], object]) -> None:
    """Wait until *said* returns a true value, and print the time since the kill."""
    until(said, within_s=WAIT_S)
    print(f"\nrecovery {point} {time.monotonic() - died_at:.2f} s")


def has_one_order(core: Core, execution_id: UUID) -> bool:
    execution = core.execution(execution_id)
    return execution["order_id"] is not None and execution["state"] in ("accepted", "filled")


def assert_one_order(core: Core, execution_id: UUID) -> None:
    (order,) = core.orders()
    assert order["client_order_id"] == f"tw-{execution_id}-1"
    assert core.execution(execution_id)["order_id"] == order["id"]


def enqueued(core: Core) -> ExecutionRow:
    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])
    return row


@pytest.mark.parametrize("point", SENDER)
def test_a_sender_that_dies(core: Core, processes: Processes, point: str) -> None:
    line = json_line(signal(source_id="only once"))
    with beside(a_keeper(core)), beside(a_worker(core)):
        assert processes.killed(armed(processes, core, point, "signal", "send", "-", stdin=line))
        died_at = time.monotonic()
        if point == "intake.before_commit":
            assert core.rows("SELECT * FROM signal") == []
        # The sender got no answer, so it sends the signal again.
        assert processes.start(core, "signal", "send", "-", stdin=line).wait(30) == 0
        (execution,) = core.rows("SELECT execution_id FROM execution")
        recovered(point, died_at, lambda: has_one_order(core, execution["execution_id"]))
    assert_one_order(core, execution["execution_id"])


@pytest.mark.parametrize("point", WORKER)
def test_a_worker_that_dies(core: Core, processes: Processes, point: str) -> None:
    with beside(a_keeper(core)):
        row = enqueued(core)
        assert processes.killed(armed(processes, core, point, "work", "argo"))
        died_at = time.monotonic()
        processes.start(core, "work", "argo")
        recovered(point, died_at, lambda: has_one_order(core, row.execution_id))
        # Run another execution. When it has its order, a second order of the first one would be there too.
        second = enqueued(core)
        until(lambda: has_one_order(core, second.execution_id))
    assert len(core.orders()) == 2
    assert sum(order["client_order_id"] == f"tw-{row.execution_id}-1" for order in core.orders()) == 1


@pytest.mark.parametrize("point", ["worker.after_record", "worker.after_handover"])
def test_a_worker_that_dies_with_the_next_of_the_symbol_waiting(core: Core, processes: Processes, point: str) -> None:
    first, second = enqueued(core), core.record_signal(signal())
    assert core.run(second.execution_id)["state"] == "queued"  # It ran too early, and no other job will start it.
    with beside(a_keeper(core)):
        assert processes.killed(armed(processes, core, point, "work", "argo"))
        died_at = time.monotonic()
        assert has_one_order(core, first.execution_id)
        processes.start(core, "work", "argo")
        recovered(f"{point}, next of symbol", died_at, lambda: has_one_order(core, second.execution_id))
    assert len(core.orders()) == 2


def test_a_worker_that_dies_before_it_asks_for_the_cancel_an_exit_needs(core: Core, processes: Processes) -> None:
    point = "worker.after_cancel_mark"
    core.run(core.send(quantity=2))
    core.filled_at_exchange()
    core.follower().run_once()
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    entry = core.send(quantity=5)
    core.run(entry)
    exit_row = core.record_signal(signal(action="SELL"))
    core.dispatcher.enqueue([exit_row])
    with beside(a_keeper(core)):
        assert processes.killed(armed(processes, core, point, "work", "argo"))
        died_at = time.monotonic()
        processes.start(core, "work", "argo")
        recovered(point, died_at, lambda: has_one_order(core, exit_row.execution_id))
    assert core.state(entry) == "canceled"
    assert [order["side"] for order in core.orders()].count("sell") == 1


def never_enqueued(core: Core) -> UUID:
    return core.send()


def lease_over(core: Core) -> UUID:
    execution_id = core.send()
    assert core.recipe().claim(execution_id) is not None
    core.rows("UPDATE execution SET lease_until = clock_timestamp() - interval '1 second'")
    return execution_id


def answer_lost(core: Core) -> UUID:
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "unknown"
    return execution_id


KEEPER = {
    "keeper.after_mark": never_enqueued,
    "keeper.after_enqueue": never_enqueued,
    "keeper.after_lease_sweep": lease_over,
    "keeper.after_lookup": answer_lost,
    "keeper.after_resolve": answer_lost,
}


@pytest.mark.parametrize("point", KEEPER)
def test_a_keeper_that_dies(core: Core, processes: Processes, point: str) -> None:
    execution_id = KEEPER[point](core)
    # A worker that runs already would find an execution that waits for 5 s, before a keeper that starts slowly.
    assert processes.killed(armed(processes, core, point, "keep"))
    with beside(a_worker(core)):
        died_at = time.monotonic()
        processes.start(core, "keep")
        recovered(point, died_at, lambda: has_one_order(core, execution_id))
    assert_one_order(core, execution_id)


def test_a_keeper_that_dies_with_the_brokers_list_in_hand(core: Core, processes: Processes) -> None:
    point = "keeper.after_poll"
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 0.5})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "accepted"
    core.filled_at_exchange()
    assert processes.killed(armed(processes, core, point, "keep"))
    died_at = time.monotonic()
    assert core.state(execution_id) == "accepted"
    processes.start(core, "keep")
    recovered(point, died_at, lambda: core.state(execution_id) == "filled")
    assert_one_order(core, execution_id)


def test_a_keeper_that_dies_while_it_mirrors_dead_letters(core: Core, processes: Processes) -> None:
    point = "keeper.after_mirror"
    core.faults({"on": "account", "kind": "garbage_before"})
    execution_id = core.send()
    while core.run(execution_id)["state"] != "dead":
        core.due_now(execution_id)
    registry = FailedJobRegistry(queue=core.queues.queue("argo"))
    assert processes.killed(armed(processes, core, point, "keep"))
    died_at = time.monotonic()
    core.queues.connection.flushall()
    processes.start(core, "keep")
    shown = [f"dead-{execution_id}-1"]
    recovered(point, died_at, lambda: registry.get_job_ids(cleanup=False) == shown)
    # A requeue still leads to exactly one order.
    core.faults()
    registry.requeue(shown[0])
    with beside(a_worker(core)):
        until(lambda: has_one_order(core, execution_id))
    assert_one_order(core, execution_id)


TRACKER = ["tracker.after_frame", "tracker.after_record"]


@pytest.mark.parametrize("point", TRACKER)
def test_a_tracker_that_dies_with_a_frame_in_hand(core: Core, processes: Processes, point: str) -> None:
    tracker = armed(processes, core, point, "track")
    until(lambda: core.rows("SELECT state FROM stream WHERE state = 'listening'"))
    execution_id = core.send()
    core.run(execution_id)
    assert processes.killed(tracker)
    died_at = time.monotonic()
    core.filled_at_exchange()
    # The lease of the dead tracker need not be waited for here.
    core.rows("DELETE FROM leadership WHERE role = 'tracker'")
    processes.start(core, "track")
    with beside(a_keeper(core)):
        recovered(point, died_at, lambda: core.state(execution_id) == "filled")
    assert_one_order(core, execution_id)


def test_every_crash_point_is_tried() -> None:
    others = ["worker.after_cancel_mark", "keeper.after_poll", "keeper.after_mirror", "keeper.after_events"]
    assert sorted([*SENDER, *WORKER, *KEEPER, *TRACKER, *others]) == sorted(POINTS)
