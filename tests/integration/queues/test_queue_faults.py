"""A Redis that answers but delivers no jobs is reported as faulty, and due executions run later."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import ResponseError
from rq import Worker
from rq.suspension import suspend

from pipeline.entrypoints.doctor.findings import CheckStatus
from pipeline.entrypoints.doctor.servers import check_queues, check_redis
from pipeline.model.errors import NotPossible, QueueUnavailable
from pipeline.monitoring.alerts.kinds import AlertKind
from pipeline.queues.jobs import QueueJob
from pipeline.queues.queue_faults import queue_faults
from pipeline.queues.redis_server import check_server, connect, failure_of
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, signal, until
from tests.integration.startup.test_dependencies_kinds import configured
from tests.waiting import patience
from workers.keeper.queue_watch import QueueWatch

QUEUE = "rq:queue:executor-argo"


def faults(core: Core, *, known: int = 0) -> list[str]:
    return [fault.key for fault in queue_faults(core.queues, ("argo",), lambda: {"argo": known}, dict)]


def fill(core: Core, count: int) -> None:
    """Put ids into the queue for which there are no jobs."""
    pipe = core.queues.connection.pipeline(transaction=False)
    for begin in range(0, count, 10_000):
        pipe.rpush(QUEUE, *(f"foreign-{number}" for number in range(begin, min(begin + 10_000, count))))
    pipe.execute()


def flood(core: Core, count: int) -> None:
    """Put jobs into the queue that look like ours and name executions that do not exist."""
    job = QueueJob(execution_id=uuid4(), executor_id="argo", job_id="flood", description="BUY AAPL")
    core.queues.enqueue([job])
    stored: Any = core.queues.connection.hgetall("rq:job:flood")
    pipe = core.queues.connection.pipeline(transaction=False)
    for number in range(count):
        pipe.hset(f"rq:job:flood-{number}", mapping=stored)
        pipe.rpush(QUEUE, f"flood-{number}")
    pipe.execute()


def test_an_ordinary_queue_has_no_fault(core: Core) -> None:
    assert faults(core) == []
    core.dispatcher.enqueue([core.record_signal(signal())])
    assert faults(core) == []


def test_suspended_workers_are_a_fault(core: Core) -> None:
    suspend(core.queues.connection)

    assert faults(core) == ["rq:suspended"]


@pytest.mark.parametrize(
    "key",
    [
        QUEUE,
        "rq:queue:executor-argo:intermediate",
        "rq:queues",
        "rq:workers",
        "rq:workers:executor-argo",
        "rq:wip:executor-argo",
        "rq:failed:executor-argo",
    ],
)
def test_a_key_of_the_wrong_type_is_a_fault(core: Core, key: str) -> None:
    core.queues.connection.set(key, "x")

    assert faults(core) == [key]


def test_a_queue_that_holds_far_more_ids_than_there_are_executions_is_a_fault(core: Core) -> None:
    fill(core, 3_000)

    assert faults(core) == [f"{QUEUE}:foreign"]
    assert faults(core, known=3_000) == []


def test_doctor_and_the_alert_name_the_fault_and_its_remedy(core: Core) -> None:
    core.queues.connection.set(QUEUE, "x")

    (finding,) = check_queues(core.redis_url, core.record, core.executors)
    watch = QueueWatch(record=core.record, queues=core.queues, executor_ids=("argo",))
    watch.run_once()
    (alert,) = core.record.run(lambda connection: watch.condition(connection, {})).raised

    assert finding.status is CheckStatus.CRITICAL
    assert QUEUE in finding.saw
    assert QUEUE in finding.remedy
    assert (alert.kind, QUEUE in alert.subject) == (AlertKind.QUEUE_STUCK, True)


def test_one_executors_broken_queue_keeps_no_other_executor_from_its_jobs(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.queues.connection.set(QUEUE, "x")
    core.record_signal(signal())
    for row in core.rows("SELECT execution_id FROM execution"):
        core.due_now(row["execution_id"])

    with pytest.raises(QueueUnavailable, match="WRONGTYPE"):
        core.sweep.run_once()

    assert core.queues.depth("prop_firm") == 1


def test_one_executors_broken_queue_keeps_no_new_signal_from_the_other_queues(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.queues.connection.set(QUEUE, "x")

    for symbol in ("AAPL", "MSFT"):
        core.dispatcher.enqueue(core.intake.record(signal(symbol), source="test").executions)

    assert core.queues.depth("prop_firm") == 2


@pytest.mark.parametrize("key", [QUEUE, "rq:workers", "rq:wip:executor-argo"])
def test_an_entry_gets_its_order_while_a_key_has_the_wrong_type(core: Core, processes: Processes, key: str) -> None:
    core.queues.connection.set(key, "x")
    processes.start(core, "work", "argo")
    processes.start(core, "keep")

    row = core.record_signal(signal())

    until(lambda: core.execution(row.execution_id)["order_id"])
    assert core.queues.connection.get(key) == b"x"


def test_an_entry_gets_its_order_while_the_queue_is_full_of_other_ids(core: Core, processes: Processes) -> None:
    fill(core, 400_000)
    processes.start(core, "work", "argo")
    processes.start(core, "keep")

    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])

    until(lambda: core.execution(row.execution_id)["order_id"])
    assert core.queues.depth("argo") > 1


def test_an_entry_gets_its_order_while_the_queue_is_full_of_jobs_of_unknown_executions(
    core: Core, processes: Processes
) -> None:
    flood(core, 30_000)
    processes.start(core, "work", "argo")

    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])

    until(lambda: core.execution(row.execution_id)["order_id"])
    assert core.queues.depth("argo") > 1


@pytest.fixture
def thieves(core: Core) -> Iterator[None]:
    """Twenty clients that pop the jobs of argo. They wait for longer than the worker, so they are served before it."""
    done = threading.Event()

    def steal() -> None:
        with connect(core.redis_url, timeout_s=70.0) as connection:
            while not done.is_set():
                connection.blpop([QUEUE], 60)

    clients = [threading.Thread(target=steal) for _ in range(20)]
    for client in clients:
        client.start()
    yield
    done.set()
    core.queues.connection.rpush(QUEUE, *range(10 * len(clients)))
    for client in clients:
        client.join()


def faults_reported(core: Core) -> list[str]:
    """Return what doctor sees wrong with the queues."""
    found = check_queues(core.redis_url, core.record, core.executors)
    return [each.saw for each in found if each.status is CheckStatus.CRITICAL]


@pytest.mark.usefixtures("thieves")
def test_jobs_that_another_client_pops_are_executed_and_reported(core: Core, processes: Processes) -> None:
    processes.start(core, "work", "argo")
    processes.start(core, "keep")
    until(lambda: Worker.all(connection=core.queues.connection), within_s=30)
    time.sleep(5.0)
    began = time.monotonic()

    row = core.record_signal(signal())
    core.dispatcher.enqueue([row])

    until(lambda: core.execution(row.execution_id)["order_id"], within_s=30)
    took = time.monotonic() - began
    until(lambda: faults_reported(core))
    assert "the worker of argo does not get its jobs" in faults_reported(core)[0]
    until(lambda: core.rows("SELECT subject FROM alert WHERE kind = 'queue_stuck'"))
    assert took < patience(10)


@pytest.mark.parametrize(
    ("takes", "gives_back"),
    [
        pytest.param(["-blmove"], ["+blmove"], id="command"),
        # The user has the right to all other keys, so that enqueueing to other executors works.
        pytest.param(["resetkeys", "~rq:[!q]*", "~rq:queues", "~tradewire:*"], ["~*"], id="key"),
    ],
)
def test_an_entry_gets_its_order_while_the_worker_lacks_a_right_to_its_queue(
    core: Core, processes: Processes, takes: list[str], gives_back: list[str]
) -> None:
    worker = processes.start(core, "work", "argo")
    processes.start(core, "keep")
    until(lambda: Worker.all(connection=core.queues.connection), within_s=30)
    core.queues.connection.execute_command("ACL", "SETUSER", "default", *takes)
    try:
        row = core.record_signal(signal())
        core.dispatcher.enqueue([row])
        until(lambda: core.execution(row.execution_id)["order_id"], within_s=20)
        until(lambda: core.rows("SELECT subject FROM alert WHERE kind = 'queue_stuck'"))
        found = [check_redis(core.redis_url), *check_queues(core.redis_url, core.record, core.executors)]
        until(lambda: "queue.away" in processes.said(worker))
    finally:
        core.queues.connection.execute_command("ACL", "SETUSER", "default", *gives_back)

    seen = [each.saw for each in found if each.status is CheckStatus.CRITICAL]
    assert len(seen) == 1, seen
    assert "NOPERM" in seen[0] or "permissions" in seen[0]


def test_the_keeper_alerts_while_workers_are_suspended(core: Core, processes: Processes) -> None:
    suspend(core.queues.connection)
    processes.start(core, "keep")

    def alerts() -> list[dict[str, Any]]:
        return core.rows("SELECT subject FROM alert WHERE kind = 'queue_stuck'")

    until(alerts)
    assert "suspended" in alerts()[0]["subject"]


def test_a_redis_that_wants_a_password_says_so(core: Core) -> None:
    with configured(core.redis_url, requirepass="secret"), pytest.raises(NotPossible, match="wants a password"):
        check_server(connect(core.redis_url))


def test_a_redis_user_without_the_rights_is_told_which_one_it_lacks(core: Core) -> None:
    core.queues.connection.acl_setuser(
        "small", enabled=True, nopass=True, categories=["+@all"], commands=["-info"], keys=["*"]
    )

    with pytest.raises(NotPossible, match="'info'"):
        check_server(connect(re.sub(r"://(:[^@]*@)?", "://small:any@", core.redis_url, count=1)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"maxmemory": "1"}, "its memory is full", id="memory"),
        pytest.param({"min-replicas-to-write": "1"}, "NOREPLICAS", id="replicas"),
    ],
)
def test_a_redis_that_refuses_writes_is_said_by_doctor_and_an_alert(
    core: Core, settings: dict[str, str], said: str
) -> None:
    watch = QueueWatch(record=core.record, queues=core.queues, executor_ids=("argo",))
    with configured(core.redis_url, **settings):
        watch.run_once()
        (alert,) = core.record.run(lambda connection: watch.condition(connection, {})).raised
        found = check_redis(core.redis_url)

    assert said in alert.subject
    assert (found.status, said in found.saw) == (CheckStatus.CRITICAL, True)


def test_a_redis_that_cannot_write_to_its_disk_is_said() -> None:
    error = ResponseError("MISCONF Valkey is configured to save RDB snapshots, but it cannot persist on disk.")

    assert "cannot write to its disk" in str(failure_of(error))
