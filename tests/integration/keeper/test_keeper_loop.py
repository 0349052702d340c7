"""One keeper process leads. Another one takes over when it dies or freezes, and it does no harm when it wakes up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest

from pipeline.model.errors import QueueUnavailable
from tests.core_fixtures import Processes, Started
from tests.factories import Core, executor_toml, until
from workers.keeper.leadership import Leadership
from workers.keeper.periodic_task import PeriodicTask
from workers.keeper.process import TASKS_PER_EXECUTOR, _executor_tasks


def leader(core: Core) -> Any:
    rows = core.rows("SELECT holder FROM leadership WHERE role = 'keeper' AND lease_until > clock_timestamp()")
    return rows[0]["holder"] if rows else None


def leads(processes: Processes, process: Started) -> bool:
    return processes.said(process).count("keeper.leads") > processes.said(process).count("keeper.stands_by")


def test_one_of_two_leads_and_a_frozen_leader_is_replaced_and_wakes_harmlessly(
    core: Core, processes: Processes
) -> None:
    keepers = [processes.start(core, "keep"), processes.start(core, "keep")]
    until(lambda: any(leads(processes, each) for each in keepers))
    first = next(each for each in keepers if leads(processes, each))
    second = keepers[1 - keepers.index(first)]
    was = leader(core)
    os.kill(first.pid, signal.SIGSTOP)
    frozen_at = time.monotonic()

    until(lambda: leads(processes, second), within_s=10)
    print(f"\nreplaced after {time.monotonic() - frozen_at:.2f} s")
    assert leader(core) != was
    # The new leader finds the lost execution. The old leader does nothing when it wakes up.
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "unknown"
    until(lambda: core.state(execution_id) in ("accepted", "filled"))
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: core.state(execution_id) == "filled")

    time.sleep(1.5)
    assert leader(core) not in (None, was)
    assert (first.poll(), second.poll()) == (None, None)
    assert len(core.orders()) == 1
    # The leader has computed the books.
    assert [row["quantity"] for row in core.rows("SELECT quantity FROM lot")] == [1]


def test_a_keeper_that_is_stopped_resigns_so_that_another_leads_at_once(core: Core, processes: Processes) -> None:
    keeper = processes.start(core, "keep")
    until(lambda: leader(core))
    keeper.terminate()

    assert keeper.wait(10) == 0

    assert core.rows("SELECT * FROM leadership") == []
    assert core.rows("SELECT * FROM heartbeat WHERE kind = 'keeper'") == []


def test_a_keeper_goes_on_after_its_connections_were_cut(core: Core, processes: Processes) -> None:
    keeper = processes.start(core, "keep")
    until(lambda: leader(core))
    with psycopg.connect(core.database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    core.queues.connection.client_kill_filter(_type="normal", skipme=True)

    execution_id = core.send()
    until(lambda: core.queues.depth("argo") == 1)

    assert core.queues.waiting("argo", [core.execution(execution_id)["job_id"]]) == [True]
    assert keeper.poll() is None


def test_leadership_is_one_row_that_only_its_holder_renews(core: Core) -> None:
    first, second = Leadership(core.record, "test"), Leadership(core.record, "test")

    assert (first.renew(), second.renew(), first.renew()) == (1, 0, 1)
    assert (first.leads(), second.leads()) == (True, False)

    first.resign()
    assert second.renew() == 1


def test_a_periodic_task_goes_on_after_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.keeper.periodic_task._LONGEST_PAUSE_S", 0.01)
    stop, passes = threading.Event(), []

    def task() -> int:
        passes.append(1)
        if len(passes) == 1:
            raise QueueUnavailable
        if len(passes) == 2:
            raise ZeroDivisionError
        return 0

    repeated = PeriodicTask("test", 0.01, task, stop=stop, leads=lambda: True)
    repeated.start()
    until(lambda: len(passes) > 3)
    stop.set()
    repeated.join(5)

    assert repeated.last_good_at is not None


def test_a_periodic_task_does_not_run_while_its_keeper_does_not_lead() -> None:
    stop, passes = threading.Event(), []
    repeated = PeriodicTask("test", 0.01, lambda: passes.append(1) or 0, stop=stop, leads=lambda: False)
    repeated.start()
    time.sleep(0.1)
    stop.set()
    repeated.join(5)

    assert passes == []


@pytest.mark.parametrize(("options", "runs"), [({"paced": True}, 1), ({}, 3)])
def test_a_task_that_did_something_runs_again_at_once_unless_it_is_paced(options: dict[str, bool], runs: int) -> None:
    stop, passes = threading.Event(), []
    repeated = PeriodicTask(
        "test", 60, lambda: passes.append(1) or len(passes) < 3, stop=stop, leads=lambda: True, **options
    )
    repeated.start()
    until(lambda: len(passes) == runs)
    time.sleep(0.1)
    stop.set()
    repeated.join(5)

    assert len(passes) == runs


def test_a_broker_that_hangs_does_not_delay_the_look_ups_of_another(
    make_core: Callable[..., Core], processes: Processes
) -> None:
    core = make_core(executor_toml("argo", broker_timeout_s=5, unknown_s=60) + executor_toml("prop_firm"))
    symbols = [f"Q{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    core.prices(AAPL=100, **dict.fromkeys(symbols, 100))
    core.faults({"on": "submit", "kind": "drop_after"})
    for symbol in symbols:
        assert core.run(core.send(symbol, executors=["argo"]))["state"] == "unknown"
    other = core.send(executor="prop_firm", executors=["prop_firm"])
    assert core.run(other, "prop_firm")["state"] == "unknown"
    core.rows("UPDATE execution SET due_at = clock_timestamp() WHERE state = 'unknown'")
    core.faults(*({"on": on, "kind": "silence_before", "key": "argo"} for on in ("lookup", "list")))
    processes.start(core, "keep")
    until(lambda: leader(core))
    began = time.monotonic()

    until(lambda: core.state(other) != "unknown")

    # The 26 look-ups at argo take five seconds each, and do not delay this one.
    assert time.monotonic() - began < 5
    assert core.rows("SELECT count(*) FROM execution WHERE state = 'unknown'") == [{"count": len(symbols)}]


def test_each_task_of_an_executor_may_hold_a_connection(core: Core) -> None:
    task = partial(PeriodicTask, stop=threading.Event(), leads=lambda: True)
    pools = dict.fromkeys(core.runtimes, core.pool)

    tasks = list(_executor_tasks(task, core.record, core.runtimes, pools, core.intake, "test"))

    assert len(tasks) == TASKS_PER_EXECUTOR * len(core.runtimes)
