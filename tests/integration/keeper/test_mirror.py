from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from pipeline.intake.intake import Intake
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.failed_registry import FailedRegistry
from pipeline.queues.jobs import ExecutionJob, text_of
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.store.record import Record
from tests.factories import signal
from tests.integration.execution_states import Rows
from workers.keeper.failed_registry_sync import FailedRegistrySync

Kill = Callable[..., None]


@pytest.fixture
def queues(redis_url: str) -> Iterator[ExecutionQueue]:
    with connect(redis_url) as connection:
        yield ExecutionQueue(connection)


@pytest.fixture
def dead_letters(record: Record) -> DeadLetters:
    return DeadLetters(record)


@pytest.fixture
def mirror(dead_letters: DeadLetters, queues: ExecutionQueue) -> FailedRegistrySync:
    return FailedRegistrySync(
        dead_letters=dead_letters, page=FailedRegistry(queues), executor_ids=("argo", "prop_firm")
    )


@pytest.fixture
def dead(intake: Intake, kill: Kill) -> UUID:
    execution_id = intake.record(signal(), source="test").executions[0].execution_id
    kill(execution_id, says="<script>alert(1)</script>")
    return execution_id


def failed(queues: ExecutionQueue, executor_id: str = "argo") -> list[str]:
    registry = FailedJobRegistry(queue=queues.queue(executor_id))
    return sorted(text_of(member) for member in queues.connection.zrange(registry.key, 0, -1))


def test_a_dead_letter_is_a_failed_job_with_the_same_reason_that_never_expires(
    mirror: FailedRegistrySync, queues: ExecutionQueue, dead_letters: DeadLetters, dead: UUID
) -> None:
    mirror.run_once()

    assert (failed(queues), failed(queues, "prop_firm")) == ([f"dead-{dead}-1"], [])
    job = ExecutionJob.fetch(f"dead-{dead}-1", connection=queues.connection, serializer=JSONSerializer)
    assert (job.get_status(), job.description, job.execution_id()) == (JobStatus.FAILED, "BUY AAPL 98.0 % → argo", dead)
    result = job.latest_result()
    assert result is not None
    assert result.exc_string == dead_letters.open()[0].reason
    assert queues.connection.ttl(job.key) == -1
    FailedJobRegistry(queue=queues.queue("argo")).cleanup()
    assert failed(queues) == [f"dead-{dead}-1"]


def test_mirroring_twice_changes_nothing(mirror: FailedRegistrySync, queues: ExecutionQueue, dead: UUID) -> None:
    mirror.run_once()
    first = queues.connection.hgetall(f"rq:job:dead-{dead}-1")
    mirror.run_once()

    assert failed(queues) == [f"dead-{dead}-1"]
    assert queues.connection.hgetall(f"rq:job:dead-{dead}-1") == first


@pytest.mark.parametrize("act", ["requeue", "discard"])
def test_a_dead_letter_that_a_person_requeued_or_discarded_leaves_the_failed_page(
    mirror: FailedRegistrySync, queues: ExecutionQueue, dead_letters: DeadLetters, dead: UUID, act: str
) -> None:
    mirror.run_once()
    getattr(dead_letters, act)(dead, by="ann", why="seen")

    mirror.run_once()

    assert failed(queues) == []
    assert list(queues.connection.scan_iter(f"*{dead}*")) == []


def test_a_dead_letter_that_was_deleted_from_redis_is_shown_again(
    mirror: FailedRegistrySync, queues: ExecutionQueue, dead: UUID
) -> None:
    for _ in range(2):
        mirror.run_once()
        assert failed(queues) == [f"dead-{dead}-1"]
        queues.connection.flushall()


def test_a_job_that_the_dashboard_requeued_is_left_to_the_worker(
    mirror: FailedRegistrySync, queues: ExecutionQueue, dead: UUID
) -> None:
    mirror.run_once()
    FailedJobRegistry(queue=queues.queue("argo")).requeue(f"dead-{dead}-1")

    mirror.run_once()

    assert failed(queues) == []
    assert queues.queue("argo").job_ids == [f"dead-{dead}-1"]


def test_failed_jobs_of_others_are_removed_whatever_they_are(
    mirror: FailedRegistrySync, queues: ExecutionQueue, dead: UUID
) -> None:
    registry = FailedJobRegistry(queue=queues.queue("argo"))
    pickled = Job.create("os.getpid", connection=queues.connection, id="pickled")
    pickled.save()
    registry.add(pickled, ttl=-1, exc_string="")
    queues.connection.zadd(registry.key, {"without a job": 1, b"\xff\xfe": 2})

    mirror.run_once()

    assert failed(queues) == [f"dead-{dead}-1"]
    assert not Job.exists("pickled", connection=queues.connection)


def test_every_letter_is_shown_however_many_there_are(
    mirror: FailedRegistrySync, queues: ExecutionQueue, dead_letters: DeadLetters, intake: Intake, rows: Rows
) -> None:
    execution_id = intake.record(signal(), source="test").executions[1].execution_id
    rows(
        "INSERT INTO dead_letter (execution_id, number, executor_id, reason_code, reason_facts, opened_at) "
        "SELECT %s, n, 'argo', 'attempts_used_up', '{}', now() - interval '1 hour' FROM generate_series(1, 1100) AS n",
        [execution_id],
    )
    rows(
        "INSERT INTO dead_letter (execution_id, number, executor_id, reason_code, reason_facts) "
        "VALUES (%s, 2000, 'prop_firm', 'attempts_used_up', '{}')",
        [execution_id],
    )

    assert mirror.run_once() == 1101
    assert (len(failed(queues)), len(failed(queues, "prop_firm"))) == (1100, 1)
    assert len(dead_letters.open()) == 1000


def test_many_entries_of_others_are_removed_in_few_requests(queues: ExecutionQueue) -> None:
    """With two requests per entry, 300,000 entries kept the keeper's task busy for minutes."""
    queue, redis = queues.queue("argo"), queues.connection
    others = {f"other-{number}": 1.0 for number in range(3000)}
    redis.zadd(queue.failed_job_registry.key, others)
    redis.zadd(queue.started_job_registry.key, others)
    page = FailedRegistry(queues)
    before = redis.info("stats")["total_commands_processed"]

    page.mirror("argo", [])
    page.sweep("argo")

    assert redis.info("stats")["total_commands_processed"] - before < 100
    assert redis.zcard(queue.failed_job_registry.key) == redis.zcard(queue.started_job_registry.key) == 0
