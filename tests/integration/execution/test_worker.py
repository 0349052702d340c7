"""The worker process: the events that end it, the ones that do not, and the jobs that it refuses to run."""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from typing import Any
from uuid import uuid4

import pytest
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend

from pipeline.model.orders import OrderRequest
from tests.core_fixtures import Processes, Started
from tests.embedded_server import EmbeddedServer
from tests.factories import Core, until
from tests.factories import signal as a_signal
from tests.integration.limited_stage import filled
from workers.account.runtime import open_account


@pytest.fixture
def worker(core: Core, processes: Processes) -> Started:
    """A worker process that has registered in Redis."""
    process = processes.start(core, "work", "argo")
    until(lambda: seen(core))
    return process


def seen(core: Core) -> list[Worker]:
    return Worker.all(connection=core.queues.connection)


def trade(core: Core, symbol: str = "AAPL") -> dict[str, Any]:
    """Send a signal through the queue, and wait for its order."""
    row = core.record_signal(a_signal(symbol))
    core.dispatcher.enqueue([row])
    until(lambda: core.execution(row.execution_id)["order_id"])
    return core.execution(row.execution_id)


def refusals(core: Core) -> list[dict[str, Any]]:
    return core.rows("SELECT source, source_id, code, message FROM refusal ORDER BY at")


def test_rq_sees_the_worker_its_queue_and_its_state(core: Core, worker: Started) -> None:
    trade(core)

    (shown,) = seen(core)
    assert shown.queue_names() == ["executor-argo"]
    assert shown.pid == worker.pid
    until(lambda: seen(core)[0].get_state() == "idle")
    assert core.queues.queue("argo").started_job_registry.get_job_ids(cleanup=False) == []
    (beat,) = core.rows("SELECT kind, name, pid FROM heartbeat")
    assert beat == {"kind": "worker", "name": "argo", "pid": worker.pid}


def test_an_exit_after_a_start_with_other_keys_sells_nothing_for_the_account_before(
    core: Core, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGO_API_KEY", "argus")
    monkeypatch.setenv("ARGO_API_SECRET", "paper-exchange")
    argus, _ = open_account(core.executors["argo"], settings=core.settings, exchange_url=core.exchange.url)
    filled(core)
    request = {"client_order_id": "by-hand", "symbol": "AAPL", "side": "buy", "qty": "3", "type": "market"}
    argus.submit(OrderRequest.from_json(request | {"time_in_force": "day"}))
    until(lambda: argus.position("AAPL"))
    row = core.record_signal(a_signal("AAPL", "SELL", intent="close"))
    core.dispatcher.enqueue([row])

    processes.start(core, "work", "argo", ARGO_API_KEY="argus", ARGO_API_SECRET="paper-exchange")

    until(lambda: core.execution(row.execution_id)["state"] == "skipped" or core.orders("argus")[1:])
    # The recorded share is in the other account, so there is nothing to sell here.
    assert core.execution(row.execution_id)["reason_code"] == "no_position"
    argus.close()


def test_sigterm_finishes_the_order_in_hand_and_stops(core: Core, worker: Started) -> None:
    core.faults({"on": "submit", "kind": "latency", "seconds": 0.8})
    rows = [core.record_signal(a_signal(symbol)) for symbol in ("AAPL", "MSFT")]
    core.dispatcher.enqueue(rows)
    first, second = (row.execution_id for row in rows)
    until(lambda: core.execution(first)["client_order_id"])

    worker.terminate()

    assert worker.wait(10) == 0
    assert core.execution(first)["order_id"] == core.orders()[0]["id"]
    assert core.state(second) == "queued"
    assert len(core.orders()) == 1
    assert seen(core) == []
    assert core.rows("SELECT * FROM heartbeat") == []


def test_a_flushed_redis_is_registered_in_again_and_worked_on(core: Core, worker: Started) -> None:
    trade(core)
    core.queues.connection.flushall()

    until(lambda: seen(core), within_s=10)

    trade(core, "MSFT")
    assert worker.poll() is None


def test_a_redis_that_is_gone_for_a_while_is_waited_for(
    core: Core, processes: Processes, valkey_server: EmbeddedServer
) -> None:
    home = core.executors_path.parent / "valkey"
    with EmbeddedServer.valkey(home) as own:
        process = processes.start(core, "work", "argo", REDIS_URL=own.url)
        until(lambda: "worker.started" in processes.said(process))
        os.kill(own.server_pid, signal.SIGSTOP)
        time.sleep(4.0)  # Longer than all time limits of the worker's connection.
        os.kill(own.server_pid, signal.SIGCONT)
        core.queues.connection.close()
        from pipeline.queues.dispatcher import Dispatcher
        from pipeline.queues.queue import ExecutionQueue
        from pipeline.queues.redis_server import connect

        connection = connect(own.url)
        until(lambda: Worker.all(connection=connection))
        row = core.record_signal(a_signal())
        Dispatcher(ExecutionQueue(connection)).enqueue([row])
        until(lambda: core.execution(row.execution_id)["order_id"])
        connection.close()
    assert process.poll() is None
    assert valkey_server.url != own.url


def test_a_job_that_names_another_function_is_refused_and_reported(core: Core, worker: Started) -> None:
    queue = Queue("executor-argo", connection=core.queues.connection, serializer=JSONSerializer)
    evil = core.executors_path.parent / "evil"
    queue.enqueue("os.mkdir", str(evil))
    queue.enqueue("subprocess.call", ["touch", str(evil)])

    until(lambda: len(refusals(core)) == 2)

    assert [row["code"] for row in refusals(core)] == ["foreign_job", "foreign_job"]
    assert not evil.exists()
    trade(core)
    assert worker.poll() is None


class Evil:
    """A pickle that creates a folder when it is loaded."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self._path,)


def test_a_pickle_is_refused_and_never_read(core: Core, worker: Started) -> None:
    evil = core.executors_path.parent / "evil"
    Queue("executor-argo", connection=core.queues.connection).enqueue("tradewire.execute", str(uuid4()))
    core.queues.connection.hset("rq:job:pickled", mapping={"data": pickle.dumps(Evil(str(evil))), "origin": "argo"})
    core.queues.connection.rpush("rq:queue:executor-argo", "pickled")

    until(lambda: len(refusals(core)) == 2)

    assert not evil.exists()
    trade(core)
    assert worker.poll() is None


def test_poisoned_hashes_and_ids_are_refused_and_stop_no_worker(core: Core, worker: Started) -> None:
    redis = core.queues.connection
    ours = json.dumps(["tradewire.execute", None, [str(uuid4())], {}])
    poison: dict[str, dict[str, Any]] = {
        "no-data": {"origin": "executor-argo"},
        "not-json": {"data": b"\xff\xfe", "created_at": "2026-01-01T00:00:00.000000Z"},
        "no-list": {"data": json.dumps({"a": 1})},
        "no-uuid": {"data": json.dumps(["tradewire.execute", None, ["rm -rf"], {}])},
        "bad-time": {"data": ours, "created_at": "yesterday", "timeout": "NaN", "status": "\x00"},
    }
    for job_id, fields in poison.items():
        redis.hset(f"rq:job:{job_id}", mapping=fields)
        redis.rpush("rq:queue:executor-argo", job_id)
    redis.set("rq:job:not-a-hash", "text")
    redis.rpush("rq:queue:executor-argo", "not-a-hash", b"\xff\x00bytes", "no-such-job")

    trade(core)

    assert worker.poll() is None
    assert {"not-json", "no-list", "no-uuid", "bad-time", "not-a-hash"} <= {row["source_id"] for row in refusals(core)}
    assert redis.llen("rq:queue:executor-argo") == 0
    assert redis.llen("rq:queue:executor-argo:intermediate") == 0


def test_a_job_of_an_execution_that_does_not_exist_does_nothing(core: Core, worker: Started) -> None:
    from pipeline.queues.jobs import QueueJob

    core.queues.enqueue([QueueJob(execution_id=uuid4(), executor_id="argo", job_id="none-1", description="BUY X")])
    trade(core)
    assert len(core.orders()) == 1
    assert worker.poll() is None


def test_a_suspended_worker_waits_and_goes_on(core: Core, worker: Started) -> None:
    suspend(core.queues.connection)
    time.sleep(1.5)
    row = core.record_signal(a_signal())
    core.dispatcher.enqueue([row])
    time.sleep(1.0)
    assert core.state(row.execution_id) == "queued"

    resume(core.queues.connection)

    until(lambda: core.execution(row.execution_id)["order_id"])
    assert worker.poll() is None


def test_a_worker_frozen_in_the_middle_of_a_send_doubles_nothing(core: Core, processes: Processes) -> None:
    processes.start(core, "keep")
    frozen = processes.start(core, "work", "argo")
    until(lambda: seen(core))
    core.faults({"on": "submit", "kind": "latency", "seconds": 0.7, "count": 1})
    row = core.record_signal(a_signal())
    core.dispatcher.enqueue([row])
    until(lambda: core.execution(row.execution_id)["client_order_id"])
    os.kill(frozen.pid, signal.SIGSTOP)
    processes.start(core, "work", "argo")

    until(lambda: core.execution(row.execution_id)["order_id"])
    os.kill(frozen.pid, signal.SIGCONT)

    trade(core, "MSFT")
    until(lambda: core.state(row.execution_id) == "filled")
    assert [order["client_order_id"] for order in core.orders()].count(f"tw-{row.execution_id}-1") == 1
    assert len(core.orders()) == 2
    assert frozen.poll() is None
