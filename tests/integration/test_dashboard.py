"""rq-dashboard shows the queues truly, to those who may see them, and changes nothing by accident."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from pipeline.dashboard import make_app
from pipeline.embedded.addresses import free_port
from pipeline.embedded.servers import EmbeddedServer
from pipeline.queues import Bell, DeadJob, connect

_TOKEN = "a-token"
_LOGIN = {"Authorization": "Basic " + base64.b64encode(f"tradewire:{_TOKEN}".encode()).decode()}
_QUEUE = "executor-argo"
_PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture
def redis(redis_url: str) -> Redis:
    return Redis.from_url(redis_url)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(_QUEUE, connection=redis, serializer=JSONSerializer)


@pytest.fixture
def stranger(redis_url: str) -> FlaskClient:
    return make_app(redis_url, _TOKEN).test_client()


@pytest.fixture
def client(stranger: FlaskClient) -> FlaskClient:
    stranger.environ_base["HTTP_AUTHORIZATION"] = _LOGIN["Authorization"]
    return stranger


def _enqueue(queue: Queue, description: str = "BUY AAPL 98.0 % → argo", function: str = "operator.neg") -> Job:
    return queue.enqueue_call(function, args=(1,), description=description)


def _fail(queue: Queue, *, reason: str = "no answer", description: str = "BUY AAPL 98.0 % → argo") -> Job:
    job = _enqueue(queue, description)
    queue.remove(job)
    job.set_status(JobStatus.FAILED)
    FailedJobRegistry(queue=queue).add(job, ttl=-1, exc_string=reason)
    Result.create_failure(job, ttl=-1, exc_string=reason)
    return job


def _busy_worker(queue: Queue, job: Job) -> Worker:
    worker = SimpleWorker([queue], connection=queue.connection, serializer=JSONSerializer, name="argo-1")
    worker.register_birth()
    queue.remove(job)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    return worker


@pytest.mark.parametrize(
    "path",
    ["/", "/0/view/jobs", "/0/data/queues.json", "/static/js/jquery-3.5.1.min.js", "/nothing", "/requeue/default"],
)
def test_nothing_is_shown_without_a_login(stranger: FlaskClient, path: str) -> None:
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize("login", ["tradewire:", "tradewire:another", "root:a-token", ":", "tradewire:a-tokené"])
def test_a_wrong_login_is_refused(stranger: FlaskClient, login: str) -> None:
    header = "Basic " + base64.b64encode(login.encode()).decode()

    assert stranger.get("/", headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize("path", ["/", "/0/view/queues", "/0/view/workers", "/0/view/jobs", "/static/css/main.css"])
def test_every_page_opens_with_the_login(client: FlaskClient, queue: Queue, path: str) -> None:
    _enqueue(queue)

    with client.get(path, follow_redirects=True) as answer:
        assert answer.status_code == 200


def test_queues_are_listed_with_what_is_in_them(client: FlaskClient, queue: Queue) -> None:
    _enqueue(queue)
    _enqueue(queue)
    _fail(queue)
    _busy_worker(queue, _enqueue(queue))

    (shown,) = client.get("/0/data/queues.json").get_json()["queues"]

    assert shown["name"] == _QUEUE
    assert [shown["count"], shown["failed_job_registry_count"], shown["started_job_registry_count"]] == [2, 1, 1]


def test_a_worker_busy_with_a_json_job_is_listed(client: FlaskClient, queue: Queue) -> None:
    job = _enqueue(queue)
    _busy_worker(queue, job)

    (shown,) = client.get("/0/data/workers.json").get_json()["workers"]

    assert shown["name"] == "argo-1"
    assert shown["queues"] == [_QUEUE]
    assert shown["state"] == "busy"
    assert shown["current_job"]["job_id"] == job.id
    assert shown["current_job"]["description"] == "BUY AAPL 98.0 % → argo"


def test_a_worker_whose_job_is_gone_by_now_is_idle(client: FlaskClient, queue: Queue) -> None:
    job = _enqueue(queue)
    _busy_worker(queue, job)
    queue.connection.delete(job.key)

    (shown,) = client.get("/0/data/workers.json").get_json()["workers"]

    assert shown["current_job"] == "idle"


def test_queued_jobs_are_readable(client: FlaskClient, queue: Queue) -> None:
    job = _enqueue(queue)

    shown = client.get(f"/0/data/jobs/{_QUEUE}/queued/8/asc/1.json").get_json()["jobs"]

    assert [(one["id"], one["description"]) for one in shown] == [(job.id, "BUY AAPL 98.0 % → argo")]


def test_failed_jobs_are_shown_with_their_reason(client: FlaskClient, queue: Queue) -> None:
    job = _fail(queue, reason="broker_unreadable saw=<html>")

    (shown,) = client.get(f"/0/data/jobs/{_QUEUE}/failed/8/asc/1.json").get_json()["jobs"]
    single = client.get(f"/0/data/job/{job.id}.json").get_json()

    assert shown["exc_info"] == "broker_unreadable saw=<html>"
    assert [single["status"], single["exc_info"]] == ["failed", "broker_unreadable saw=<html>"]


def test_one_failed_job_is_requeued_by_a_post(client: FlaskClient, queue: Queue) -> None:
    job = _fail(queue)

    answer = client.post(f"/job/{job.id}/requeue", headers={"Origin": "http://localhost"})

    assert answer.status_code == 200
    assert queue.get_job_ids() == [job.id]
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == []
    assert Job.fetch(job.id, queue.connection, JSONSerializer).args == [1]


def test_a_job_that_did_not_fail_is_not_requeued(client: FlaskClient, queue: Queue) -> None:
    job = _enqueue(queue)

    assert client.post(f"/job/{job.id}/requeue").status_code == 409
    assert queue.get_job_ids() == [job.id]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_queue_is_not_requeued_by_looking_at_it(client: FlaskClient, queue: Queue, method: str) -> None:
    job = _fail(queue)

    assert client.open(f"/requeue/{_QUEUE}", method=method).status_code == 405
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == [job.id]


def test_a_queue_is_requeued_by_a_post(client: FlaskClient, queue: Queue) -> None:
    jobs = [_fail(queue), _fail(queue)]

    assert client.post(f"/requeue/{_QUEUE}").get_json()["count"] == 2
    assert set(queue.get_job_ids()) == {job.id for job in jobs}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
def test_a_post_from_another_page_is_refused(client: FlaskClient, queue: Queue, headers: dict[str, str]) -> None:
    job = _fail(queue)

    assert client.post(f"/requeue/{_QUEUE}", headers=headers).status_code == 403
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == [job.id]


@pytest.mark.parametrize("page", ["view/queues", "view/workers", f"view/jobs/{_QUEUE}/failed/8/asc/1", "view/job/{id}"])
def test_no_page_puts_a_value_into_itself_as_html(client: FlaskClient, queue: Queue, page: str) -> None:
    job = _fail(queue, reason=_PAYLOAD, description=_PAYLOAD)

    answer = client.get(f"/0/{page.format(id=job.id)}", follow_redirects=True)

    text = answer.get_data(as_text=True)
    assert "<%-" in text
    assert "<%=" not in text
    assert ".html() %>" not in text
    assert _PAYLOAD not in text


def test_a_script_without_the_pages_nonce_does_not_run(client: FlaskClient) -> None:
    first, second = client.get("/0/view/workers"), client.get("/0/view/workers")

    policies = [answer.headers["Content-Security-Policy"] for answer in (first, second)]
    nonces = [re.findall(r"'nonce-([^']+)'", policy) for policy in policies]
    assert nonces[0] != nonces[1]
    assert "'unsafe-inline'" not in policies[0].split("script-src")[1].split(";")[0]
    assert set(re.findall(r"<script ([^>]*)>", first.get_data(as_text=True))) != set()
    for script in re.findall(r"<script ([^>]*)>", first.get_data(as_text=True)):
        assert f'nonce="{nonces[0][0]}"' in script


def test_values_are_data_and_cannot_be_taken_for_a_page(client: FlaskClient, queue: Queue) -> None:
    job = _fail(queue, reason=_PAYLOAD, description=_PAYLOAD)

    answer = client.get(f"/0/data/job/{job.id}.json")

    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_job_with_a_dependency_is_shown(client: FlaskClient, queue: Queue) -> None:
    first = _enqueue(queue)
    second = queue.enqueue_call("operator.neg", args=(1,), depends_on=first)

    shown = client.get(f"/0/data/job/{second.id}.json").get_json()

    assert [shown["depends_on"], shown["depends_on_status"]] == [[first.id], ["active"]]


@pytest.mark.parametrize("path", ["/0/view/job/nothing", "/0/data/job/nothing.json", "/7/data/queues.json"])
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_compacting_an_empty_queue_does_nothing(client: FlaskClient) -> None:
    assert client.post("/queue/empty/compact").status_code == 200


def test_compacting_takes_out_ids_without_a_job_and_no_others(client: FlaskClient, queue: Queue) -> None:
    kept, gone, kept_too = _enqueue(queue), _enqueue(queue), _enqueue(queue)
    queue.connection.delete(gone.key)

    assert client.post(f"/queue/{_QUEUE}/compact").status_code == 200
    assert queue.get_job_ids() == [kept.id, kept_too.id]


def test_the_password_of_redis_is_on_no_page(client: FlaskClient, redis_url: str) -> None:
    password = urlsplit(redis_url).password

    assert password is not None
    assert password not in client.get("/").get_data(as_text=True)


def _serve(port: int, **environment: str) -> subprocess.Popen[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TRADEWIRE_")}
    command = [sys.executable, "-m", "pipeline.dashboard", "--port", str(port)]
    return subprocess.Popen(command, env={**inherited, **environment}, stderr=subprocess.PIPE, text=True)


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", headers=_LOGIN, timeout=10).status_code
    except httpx.TransportError:
        return 0


def _wait_for(port: int, path: str, status: int) -> int:
    deadline = time.monotonic() + 20
    while (seen := _status(port, path)) != status and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def test_it_outlives_redis_and_ends_when_asked(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedServer.valkey(tmp_path / "valkey") as valkey:
        environment = {"REDIS_URL": valkey.url, "TRADEWIRE_API_TOKEN": _TOKEN, "TRADEWIRE_HOME": str(tmp_path)}
        with _serve(port, **environment) as served:
            try:
                assert _wait_for(port, "/0/data/queues.json", 200) == 200
                valkey.stop()
                assert [_status(port, "/"), _status(port, "/0/data/queues.json")] == [503, 503]
                valkey.start()
                assert _wait_for(port, "/0/data/queues.json", 200) == 200
            finally:
                served.send_signal(signal.SIGTERM)
            assert served.wait(5) == 0


@pytest.mark.parametrize(
    ("environment", "missing"),
    [({"REDIS_URL": "redis://127.0.0.1:1"}, "TRADEWIRE_API_TOKEN"), ({"TRADEWIRE_API_TOKEN": "x"}, "REDIS_URL")],
)
def test_it_does_not_start_without_a_token_or_a_redis(
    tmp_path: Path, environment: dict[str, str], missing: str
) -> None:
    with _serve(free_port(), TRADEWIRE_HOME=str(tmp_path), **environment) as served:
        _, said = served.communicate(timeout=20)

    assert served.returncode == 2
    assert missing in said
    assert "Traceback" not in said


def test_a_dead_letter_is_shown_with_its_reason_and_requeued_under_its_id(client: FlaskClient, redis_url: str) -> None:
    bell = Bell(connect(redis_url))
    letter = DeadJob(
        execution_id=uuid4(), executor_id="argo", number=1, description="BUY AAPL", reason="unknown_too_long since=…"
    )
    bell.mirror_dead("argo", [letter])

    (shown,) = client.get(f"/0/data/jobs/{_QUEUE}/failed/8/asc/1.json").get_json()["jobs"]
    answer = client.post(f"/job/{letter.job_id}/requeue")

    assert [shown["id"], shown["exc_info"], shown["description"]] == [letter.job_id, letter.reason, "BUY AAPL"]
    assert answer.status_code == 200
    assert bell.waiting("argo", [letter.job_id]) == [True]


def test_a_discarded_dead_letter_leaves_nothing_in_redis(redis: Redis, redis_url: str) -> None:
    bell = Bell(connect(redis_url))
    letter = DeadJob(execution_id=uuid4(), executor_id="argo", number=1, description="BUY AAPL", reason="r")
    bell.mirror_dead("argo", [letter])

    bell.mirror_dead("argo", [])

    assert [key for key in redis.scan_iter() if letter.job_id.encode() in key] == []
