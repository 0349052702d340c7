from __future__ import annotations

import logging
import pickle
import time
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import DefaultSerializer, JSONSerializer

from pipeline.entrypoints.supervisor.servers.addresses import free_port
from pipeline.model.errors import NotPossible, QueueUnavailable
from pipeline.queues.failed_registry import FailedRegistry
from pipeline.queues.jobs import FUNCTION, ExecutionJob, ForeignJob, QueueJob, queue_name, text_of
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import check_server, connect


@pytest.fixture
def rq_log() -> Iterator[None]:
    """Restore RQ's logger after the test, because RQ's worker changes it for the whole process."""
    log = logging.getLogger("rq.worker")
    level, handlers, propagate = log.level, list(log.handlers), log.propagate
    yield
    log.setLevel(level)
    log.handlers[:] = handlers
    log.propagate = propagate


@pytest.fixture
def queues(redis_url: str) -> Iterator[ExecutionQueue]:
    with connect(redis_url) as connection:
        yield ExecutionQueue(connection)


def queue_job(number: int = 1, *, executor_id: str = "argo", job: str = "-1") -> QueueJob:
    execution_id = UUID(int=number)
    return QueueJob(
        execution_id=execution_id,
        executor_id=executor_id,
        job_id=f"{execution_id}{job}",
        description=f"BUY AAPL 98.0 % → {executor_id}",
    )


def fetch(queues: ExecutionQueue, job_id: str) -> ExecutionJob:
    return ExecutionJob.fetch(job_id, connection=queues.connection, serializer=JSONSerializer)


def everything_in(connection: Redis) -> dict[bytes, Any]:
    """Return all keys of the server with their values."""
    read: dict[bytes, Any] = {
        b"hash": connection.hgetall,
        b"list": lambda key: connection.lrange(key, 0, -1),
        b"set": connection.smembers,
        b"zset": lambda key: connection.zrange(key, 0, -1),
        b"string": connection.get,
    }
    return {key: read[connection.type(key)](key) for key in connection.keys()}  # noqa: SIM118 -- redis, no dict


def test_each_executor_has_its_queue_and_its_jobs_in_order(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(1), queue_job(2, executor_id="prop_firm"), queue_job(3)])

    assert [queues.queue(name).job_ids for name in ("argo", "prop_firm")] == [
        [queue_job(1).job_id, queue_job(3).job_id],
        [queue_job(2).job_id],
    ]
    assert (queues.depth("argo"), queues.depth("prop_firm"), queues.depth("other")) == (2, 1, 0)
    assert queue_name("argo") == "executor-argo"


def test_a_job_carries_the_executions_id_and_nothing_else(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(7)])

    job = fetch(queues, queue_job(7).job_id)
    assert (job.func_name, list(job.args), job.kwargs, job.meta) == (FUNCTION, [str(UUID(int=7))], {}, {})
    assert job.execution_id() == UUID(int=7)
    assert job.description == "BUY AAPL 98.0 % → argo"
    assert (job.timeout, job.result_ttl, job.failure_ttl, job.ttl, job.retries_left) == (-1, 0, -1, None, None)


def test_nothing_in_redis_is_a_pickle(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(1)])

    (stored,) = [value for key, value in everything_in(queues.connection).items() if key.startswith(b"rq:job:")]
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(zlib.decompress(stored[b"data"]))
    assert JSONSerializer.loads(zlib.decompress(stored[b"data"])) == [FUNCTION, None, [str(UUID(int=1))], {}]


def test_a_job_never_expires_while_it_waits(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(1)])

    ttls = [queues.connection.ttl(key) for key in everything_in(queues.connection)]
    assert set(ttls) == {-1}
    assert len(ttls) == 3


@pytest.mark.parametrize("function", ["os.system", "builtins.print", "tradewire.other", "tradewire.execute"])
def test_a_job_can_call_nothing(queues: ExecutionQueue, function: str) -> None:
    job = ExecutionJob.create(function, args=("x",), connection=queues.connection, serializer=JSONSerializer)

    for refused in (lambda: job.func, job.perform, job._execute):
        with pytest.raises(ForeignJob):
            refused()
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        ("os.system", (str(uuid4()),), {}),
        (FUNCTION, (), {}),
        (FUNCTION, ("not an id",), {}),
        (FUNCTION, (5,), {}),
        (FUNCTION, (str(uuid4()), 1), {}),
        (FUNCTION, (str(uuid4()),), {"price": 1}),
    ],
)
def test_a_job_that_is_not_ours_has_no_execution(queues: ExecutionQueue, function: str, args: Any, kwargs: Any) -> None:
    job = ExecutionJob.create(
        function, args=args, kwargs=kwargs, connection=queues.connection, serializer=JSONSerializer
    )

    with pytest.raises(ForeignJob, match=job.id):
        job.execution_id()


def test_a_pickle_that_somebody_enqueued_is_never_loaded(queues: ExecutionQueue) -> None:
    job = Job.create("os.getpid", connection=queues.connection, serializer=DefaultSerializer, id="pickled")
    job.save()

    with pytest.raises(ForeignJob, match="pickled"):
        fetch(queues, "pickled").execution_id()


def test_an_ordinary_rq_worker_cannot_run_our_jobs(queues: ExecutionQueue, redis_url: str, rq_log: None) -> None:
    queues.enqueue([queue_job(1)])
    with Redis.from_url(redis_url) as connection:
        queue = Queue(queue_name("argo"), connection=connection, serializer=JSONSerializer)
        SimpleWorker([queue], connection=connection, serializer=JSONSerializer).work(
            burst=True, logging_level="CRITICAL"
        )

        job = Job.fetch(queue_job(1).job_id, connection=connection, serializer=JSONSerializer)
        assert job.is_failed


def test_waiting_says_which_jobs_stand_in_the_queue(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(1), queue_job(2), queue_job(3)])
    queues.connection.lrem(queues.queue("argo").key, 1, queue_job(2).job_id)

    assert queues.waiting("argo", [queue_job(number).job_id for number in (3, 2, 1, 9)]) == [True, False, True, False]
    assert queues.waiting("prop_firm", [queue_job(1).job_id]) == [False]
    assert queues.waiting("argo", []) == []


def test_what_a_flush_lost_is_not_waiting_and_can_be_rung_for_again(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(1)])
    queues.connection.flushall()

    assert queues.waiting("argo", [queue_job(1).job_id]) == [False]
    queues.enqueue([queue_job(1, job="-2")])
    assert queues.queue("argo").job_ids == [queue_job(1, job="-2").job_id]


def started_by_a_dead_worker(queues: ExecutionQueue, number: int, *, ago_s: float) -> str:
    queues.enqueue([queue_job(number)])
    queue, job_id = queues.queue("argo"), queue_job(number).job_id
    queues.connection.lrem(queue.key, 1, job_id)
    queues.connection.zadd(queue.started_job_registry.key, {f"{job_id}:run": time.time() - ago_s})
    return job_id


def test_traces_of_dead_workers_go_and_those_of_living_ones_stay(queues: ExecutionQueue) -> None:
    gone = started_by_a_dead_worker(queues, 1, ago_s=5)
    here = started_by_a_dead_worker(queues, 2, ago_s=-60)

    FailedRegistry(queues).sweep("argo")

    left = queues.connection.zrange(StartedJobRegistry(queue=queues.queue("argo")).key, 0, -1)
    assert [text_of(entry) for entry in left] == [f"{here}:run"]
    assert not Job.exists(gone, connection=queues.connection)
    assert Job.exists(here, connection=queues.connection)


def test_a_job_parked_by_a_dead_worker_goes_in_the_second_round(queues: ExecutionQueue) -> None:
    queues.enqueue([queue_job(1)])
    queue = queues.queue("argo")
    queues.connection.lmove(queue.key, queue.intermediate_queue_key, "LEFT", "RIGHT")

    page = FailedRegistry(queues)

    page.sweep("argo")
    assert queues.connection.llen(queue.intermediate_queue_key) == 1
    page.sweep("argo")

    assert everything_in(queues.connection).keys() == {b"rq:queues"}


@pytest.mark.parametrize("ask", ["enqueue", "depth", "waiting", "mirror", "sweep"])
def test_an_absent_redis_is_said_in_our_words_and_in_one_line(ask: str) -> None:
    asks: dict[str, Any] = {
        "enqueue": lambda queues: queues.enqueue([queue_job(1)]),
        "depth": lambda queues: queues.depth("argo"),
        "waiting": lambda queues: queues.waiting("argo", ["1"]),
        "mirror": lambda queues: FailedRegistry(queues).mirror("argo", []),
        "sweep": lambda queues: FailedRegistry(queues).sweep("argo"),
    }
    with connect(f"redis://:s3cr3t@127.0.0.1:{free_port()}/0") as connection, pytest.raises(QueueUnavailable) as caught:
        asks[ask](ExecutionQueue(connection))

    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_server_that_evicts_is_refused(queues: ExecutionQueue) -> None:
    check_server(queues.connection)
    queues.connection.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(NotPossible, match="allkeys-lru"):
            check_server(queues.connection)
    finally:
        queues.connection.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("field", ["data", "exc_info", "description"])
def test_a_job_that_would_unpack_to_gigabytes_is_refused_as_it_is(queues: ExecutionQueue, field: str) -> None:
    """RQ unpacks two fields of a job: a megabyte in Redis became three gigabytes in the worker."""
    queues.enqueue([queue_job()])
    job_id = f"{queue_job().execution_id}-1"
    queues.connection.hset(f"rq:job:{job_id}", field, zlib.compress(b"a" * 200_000_000))

    with pytest.raises(ForeignJob, match="too long"):
        fetch(queues, job_id)
