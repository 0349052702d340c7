from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from pipeline.intake.intake import Intake
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.failed_registry import FailedPage
from pipeline.queues.jobs import ExecutionJob, text_of
from pipeline.queues.queue import Bell
from pipeline.queues.redis_server import connect
from pipeline.store.record import Record
from tests.factories import signal
from tests.integration.lives import Rows
from workers.keeper.failed_registry_sync import Mirror

Kill = Callable[..., None]


@pytest.fixture
def bell(redis_url: str) -> Iterator[Bell]:
    with connect(redis_url) as connection:
        yield Bell(connection)


@pytest.fixture
def letters(record: Record) -> DeadLetters:
    return DeadLetters(record)


@pytest.fixture
def mirror(letters: DeadLetters, bell: Bell) -> Mirror:
    return Mirror(letters=letters, page=FailedPage(bell), executor_ids=("argo", "prop_firm"))


@pytest.fixture
def dead(intake: Intake, kill: Kill) -> UUID:
    execution_id = intake.record(signal(), source="test").executions[0].execution_id
    kill(execution_id, says="<script>alert(1)</script>")
    return execution_id


def failed(bell: Bell, executor_id: str = "argo") -> list[str]:
    registry = FailedJobRegistry(queue=bell.queue(executor_id))
    return sorted(text_of(member) for member in bell.connection.zrange(registry.key, 0, -1))


def test_a_dead_letter_is_a_failed_job_with_the_same_reason_that_never_expires(
    mirror: Mirror, bell: Bell, letters: DeadLetters, dead: UUID
) -> None:
    mirror.run_once()

    assert (failed(bell), failed(bell, "prop_firm")) == ([f"dead-{dead}-1"], [])
    job = ExecutionJob.fetch(f"dead-{dead}-1", connection=bell.connection, serializer=JSONSerializer)
    assert (job.get_status(), job.description, job.execution_id()) == (JobStatus.FAILED, "BUY AAPL 98.0 % → argo", dead)
    result = job.latest_result()
    assert result is not None
    assert result.exc_string == letters.open()[0].reason
    assert bell.connection.ttl(job.key) == -1
    FailedJobRegistry(queue=bell.queue("argo")).cleanup()
    assert failed(bell) == [f"dead-{dead}-1"]


def test_mirroring_twice_changes_nothing(mirror: Mirror, bell: Bell, dead: UUID) -> None:
    mirror.run_once()
    first = bell.connection.hgetall(f"rq:job:dead-{dead}-1")
    mirror.run_once()

    assert failed(bell) == [f"dead-{dead}-1"]
    assert bell.connection.hgetall(f"rq:job:dead-{dead}-1") == first


@pytest.mark.parametrize("act", ["requeue", "discard"])
def test_what_a_person_moved_on_is_gone_from_the_failed_page(
    mirror: Mirror, bell: Bell, letters: DeadLetters, dead: UUID, act: str
) -> None:
    mirror.run_once()
    getattr(letters, act)(dead, by="ann", why="seen")

    mirror.run_once()

    assert failed(bell) == []
    assert list(bell.connection.scan_iter(f"*{dead}*")) == []


def test_what_was_deleted_on_the_dashboard_or_flushed_is_shown_again(mirror: Mirror, bell: Bell, dead: UUID) -> None:
    for _ in range(2):
        mirror.run_once()
        assert failed(bell) == [f"dead-{dead}-1"]
        bell.connection.flushall()


def test_what_the_dashboard_put_back_on_the_queue_is_left_to_the_worker(mirror: Mirror, bell: Bell, dead: UUID) -> None:
    mirror.run_once()
    FailedJobRegistry(queue=bell.queue("argo")).requeue(f"dead-{dead}-1")

    mirror.run_once()

    assert failed(bell) == []
    assert bell.queue("argo").job_ids == [f"dead-{dead}-1"]


def test_failed_jobs_of_others_are_removed_whatever_they_are(mirror: Mirror, bell: Bell, dead: UUID) -> None:
    registry = FailedJobRegistry(queue=bell.queue("argo"))
    pickled = Job.create("os.getpid", connection=bell.connection, id="pickled")
    pickled.save()
    registry.add(pickled, ttl=-1, exc_string="")
    bell.connection.zadd(registry.key, {"without a job": 1, b"\xff\xfe": 2})

    mirror.run_once()

    assert failed(bell) == [f"dead-{dead}-1"]
    assert not Job.exists("pickled", connection=bell.connection)


def test_every_letter_is_shown_however_many_there_are(
    mirror: Mirror, bell: Bell, letters: DeadLetters, intake: Intake, rows: Rows
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
    assert (len(failed(bell)), len(failed(bell, "prop_firm"))) == (1100, 1)
    assert len(letters.open()) == 1000
