"""Jobs of every kind in a real Valkey, and rq-dashboard in front of it."""

from __future__ import annotations

import base64

import pytest
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from pipeline.entrypoints.rq_dashboard import make_app

TOKEN = "a-token-of-our-own"
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"tradewire:{TOKEN}".encode()).decode()}
QUEUE = "executor-argo"
#: A hostile text that a broker's answer may contain.
PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture
def redis_client(redis_url: str) -> Redis:
    return Redis.from_url(redis_url)


@pytest.fixture
def queue(redis_client: Redis) -> Queue:
    return Queue(QUEUE, connection=redis_client, serializer=JSONSerializer)


@pytest.fixture
def anonymous(redis_url: str) -> FlaskClient:
    return make_app(redis_url, TOKEN).test_client()


@pytest.fixture
def client(anonymous: FlaskClient) -> FlaskClient:
    anonymous.environ_base["HTTP_AUTHORIZATION"] = LOGIN["Authorization"]
    return anonymous


def enqueued(queue: Queue, description: str = "BUY AAPL 98.0 % → argo", function: str = "operator.neg") -> Job:
    return queue.enqueue_call(function, args=(1,), description=description)


def failed(queue: Queue, *, reason: str = "no answer", description: str = "BUY AAPL 98.0 % → argo") -> Job:
    job = enqueued(queue, description)
    queue.remove(job)
    job.set_status(JobStatus.FAILED)
    FailedJobRegistry(queue=queue).add(job, ttl=-1, exc_string=reason)
    Result.create_failure(job, ttl=-1, exc_string=reason)
    return job


def busy_worker(queue: Queue, job: Job) -> Worker:
    worker = SimpleWorker([queue], connection=queue.connection, serializer=JSONSerializer, name="argo-1")
    worker.register_birth()
    queue.remove(job)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    return worker
