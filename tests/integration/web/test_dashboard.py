"""rq-dashboard shows the true state of the queues."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from pipeline.queues.failed_registry import FailedRegistry
from pipeline.queues.jobs import DeadJob
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from tests.dashboard_jobs import QUEUE, busy_worker, enqueued, failed


@pytest.mark.parametrize("path", ["/", "/0/view/queues", "/0/view/workers", "/0/view/jobs", "/static/css/main.css"])
def test_every_page_opens_with_the_login(client: FlaskClient, queue: Queue, path: str) -> None:
    enqueued(queue)

    with client.get(path, follow_redirects=True) as answer:
        assert answer.status_code == 200


def test_queues_are_listed_with_their_jobs(client: FlaskClient, queue: Queue) -> None:
    enqueued(queue)
    enqueued(queue)
    failed(queue)
    busy_worker(queue, enqueued(queue))

    (shown,) = client.get("/0/data/queues.json").get_json()["queues"]

    assert shown["name"] == QUEUE
    assert [shown["count"], shown["failed_job_registry_count"], shown["started_job_registry_count"]] == [2, 1, 1]


def test_a_worker_busy_with_a_json_job_is_listed(client: FlaskClient, queue: Queue) -> None:
    job = enqueued(queue)
    busy_worker(queue, job)

    (shown,) = client.get("/0/data/workers.json").get_json()["workers"]

    assert shown["name"] == "argo-1"
    assert shown["queues"] == [QUEUE]
    assert shown["state"] == "busy"
    assert shown["current_job"]["job_id"] == job.id
    assert shown["current_job"]["description"] == "BUY AAPL 98.0 % → argo"


def test_a_worker_whose_job_is_gone_by_now_is_idle(client: FlaskClient, queue: Queue) -> None:
    job = enqueued(queue)
    busy_worker(queue, job)
    queue.connection.delete(job.key)

    (shown,) = client.get("/0/data/workers.json").get_json()["workers"]

    assert shown["current_job"] == "idle"


def test_queued_jobs_are_readable(client: FlaskClient, queue: Queue) -> None:
    job = enqueued(queue)

    shown = client.get(f"/0/data/jobs/{QUEUE}/queued/8/asc/1.json").get_json()["jobs"]

    assert [(one["id"], one["description"]) for one in shown] == [(job.id, "BUY AAPL 98.0 % → argo")]


def test_failed_jobs_are_shown_with_their_reason(client: FlaskClient, queue: Queue) -> None:
    job = failed(queue, reason="broker_unreadable saw=<html>")

    (shown,) = client.get(f"/0/data/jobs/{QUEUE}/failed/8/asc/1.json").get_json()["jobs"]
    single = client.get(f"/0/data/job/{job.id}.json").get_json()

    assert shown["exc_info"] == "broker_unreadable saw=<html>"
    assert [single["status"], single["exc_info"]] == ["failed", "broker_unreadable saw=<html>"]


def test_one_failed_job_is_requeued_by_a_post(client: FlaskClient, queue: Queue) -> None:
    job = failed(queue)

    answer = client.post(f"/job/{job.id}/requeue", headers={"Origin": "http://localhost"})

    assert answer.status_code == 200
    assert queue.get_job_ids() == [job.id]
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == []
    assert Job.fetch(job.id, queue.connection, JSONSerializer).args == [1]


def test_a_job_that_did_not_fail_is_not_requeued(client: FlaskClient, queue: Queue) -> None:
    job = enqueued(queue)

    assert client.post(f"/job/{job.id}/requeue").status_code == 409
    assert queue.get_job_ids() == [job.id]


def test_a_queue_is_requeued_by_a_post(client: FlaskClient, queue: Queue) -> None:
    jobs = [failed(queue), failed(queue)]

    assert client.post(f"/requeue/{QUEUE}").get_json()["count"] == 2
    assert set(queue.get_job_ids()) == {job.id for job in jobs}


def test_a_job_with_a_dependency_is_shown(client: FlaskClient, queue: Queue) -> None:
    first = enqueued(queue)
    second = queue.enqueue_call("operator.neg", args=(1,), depends_on=first)

    shown = client.get(f"/0/data/job/{second.id}.json").get_json()

    assert [shown["depends_on"], shown["depends_on_status"]] == [[first.id], ["active"]]


@pytest.mark.parametrize("path", ["/0/view/job/nothing", "/0/data/job/nothing.json", "/7/data/queues.json"])
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_page_of_no_jobs_is_refused(client: FlaskClient) -> None:
    assert client.get(f"/0/data/jobs/{QUEUE}/queued/0/desc/1.json").status_code == 422


def test_compacting_an_empty_queue_does_nothing(client: FlaskClient) -> None:
    assert client.post("/queue/empty/compact").status_code == 200


def test_compacting_takes_out_ids_without_a_job_and_no_others(client: FlaskClient, queue: Queue) -> None:
    kept, gone, kept_too = enqueued(queue), enqueued(queue), enqueued(queue)
    queue.connection.delete(gone.key)

    assert client.post(f"/queue/{QUEUE}/compact").status_code == 200
    assert queue.get_job_ids() == [kept.id, kept_too.id]


def test_a_dead_letter_is_shown_with_its_reason_and_requeued_under_its_id(client: FlaskClient, redis_url: str) -> None:
    queues = ExecutionQueue(connect(redis_url))
    letter = DeadJob(
        execution_id=uuid4(), executor_id="argo", number=1, description="BUY AAPL", reason="unknown_too_long since=…"
    )
    FailedRegistry(queues).mirror("argo", [letter])

    (shown,) = client.get(f"/0/data/jobs/{QUEUE}/failed/8/asc/1.json").get_json()["jobs"]
    answer = client.post(f"/job/{letter.job_id}/requeue")

    assert [shown["id"], shown["exc_info"], shown["description"]] == [letter.job_id, letter.reason, "BUY AAPL"]
    assert answer.status_code == 200
    assert queues.waiting("argo", [letter.job_id]) == [True]


def test_a_discarded_dead_letter_leaves_nothing_in_redis(redis_client: Redis, redis_url: str) -> None:
    queues = ExecutionQueue(connect(redis_url))
    letter = DeadJob(execution_id=uuid4(), executor_id="argo", number=1, description="BUY AAPL", reason="r")
    FailedRegistry(queues).mirror("argo", [letter])

    FailedRegistry(queues).mirror("argo", [])

    assert [key for key in redis_client.scan_iter() if letter.job_id.encode() in key] == []
