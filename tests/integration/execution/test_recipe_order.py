"""Executions of one symbol run in the order in which they were recorded: the worker that ends one starts the next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest

from pipeline.store.record import Record
from tests.factories import Core

_WORKERS = 4


def work_off(core: Core, ids: list[UUID]) -> None:
    """Let several workers run *ids* without a keeper; each worker takes the next one."""
    jobs: queue.SimpleQueue[UUID] = queue.SimpleQueue()
    for execution_id in ids:
        jobs.put(execution_id)
    recipes = [core.recipe(worker=f"worker {number}") for number in range(_WORKERS)]

    def work(number: int) -> None:
        while True:
            try:
                recipes[number].run(jobs.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_burst_of_one_symbol_is_worked_off_in_order_by_many_workers(core: Core) -> None:
    ids = [core.send() for _ in range(50)]

    work_off(core, ids)

    sent = [order["client_order_id"] for order in sorted(core.orders(), key=lambda order: order["submitted_at"])]
    assert sent == [f"tw-{execution_id}-1" for execution_id in ids]
    assert core.rows("SELECT count(*) FROM execution WHERE state IN ('queued', 'held')") == [{"count": 0}]


def test_one_that_comes_while_the_earlier_is_decided_is_not_forgotten(core: Core) -> None:
    earlier, later = core.send(), core.send()

    class Meanwhile:
        """A record that decides the earlier execution in the later one's first unit of work, before the COMMIT."""

        def __init__(self) -> None:
            self.done = False

        def run(self, unit: Callable[[Any], Any], **more: Any) -> Any:
            def and_then(connection: Any) -> Any:
                value = unit(connection)
                if not self.done:
                    self.done = True
                    core.run(earlier)
                return value

            return core.record.run(and_then, **more)

    recipe = core.recipe(worker="late")
    slow = replace(recipe, record=cast("Record", Meanwhile()))
    taken = slow.claim(later)

    assert core.state(earlier) in ("accepted", "filled")
    assert taken is not None
    assert taken.execution_id == later


def test_a_job_that_comes_before_its_turn_is_executed_after_the_earlier_one(core: Core) -> None:
    first, second, other = core.send(), core.send(), core.send("MSFT")

    core.run(second)
    assert core.state(second) == "queued"
    core.run(other)
    assert core.execution(other)["order_id"] is not None

    core.run(first)

    assert core.execution(second)["order_id"] is not None


def test_a_dead_letter_does_not_stand_in_the_way(core: Core) -> None:
    first, second = core.send(), core.send()
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    core.run(first)
    core.run(second)
    assert core.state(second) == "queued"
    core.rows(
        "UPDATE execution SET state = 'dead', reason_code = 'unknown_too_long', due_at = NULL, moved_by = 'test' "
        "WHERE execution_id = %s",
        [first],
    )

    assert core.run(second)["order_id"] is not None


def test_the_keeper_enqueues_the_next_execution_when_a_worker_died_before_handing_over(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiedError(BaseException):
        pass

    def dies(point: str) -> None:
        if point == "worker.after_record":
            raise DiedError

    first, second = core.send(), core.send()
    core.run(second)
    with monkeypatch.context() as patched:
        patched.setattr("workers.execution.runner.reached", dies)
        with pytest.raises(DiedError):
            core.recipe(worker="dies").run(first)
    assert core.state(second) == "queued"
    core.due_now(second)

    core.sweep.run_once()

    assert core.queues.waiting("argo", [core.execution(second)["job_id"]]) == [True]


def reason(core: Core, execution_id: UUID) -> Any:
    (row,) = core.rows("SELECT state::text, reason_code FROM execution WHERE execution_id = %s", [execution_id])
    return row["state"], row["reason_code"]


def test_an_exit_ends_earlier_entries_that_were_not_sent(core: Core) -> None:
    core.recipe().run(core.send("MSFT"))
    entries = [core.send("MSFT"), core.send("MSFT")]
    another = core.send("IBM")
    leave = core.send("MSFT", "SELL")

    core.recipe().run(leave)

    assert [reason(core, entry) for entry in entries] == [("skipped", "superseded")] * 2
    assert core.state(another) == "queued"
    assert core.state(leave) in ("accepted", "filled", "held")


def test_an_exit_waits_for_an_earlier_entry_that_may_have_been_sent(core: Core) -> None:
    core.exchange.admin("faults", {"faults": [{"on": "submit", "kind": "drop_after", "count": 1}]})
    entry = core.send("MSFT")
    core.recipe().run(entry)
    leave = core.send("MSFT", "SELL")

    core.recipe().run(leave)

    assert core.state(entry) == "unknown"
    assert core.state(leave) == "queued"
