"""rq-dashboard needs a login, changes nothing by accident and runs no foreign script."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from rq import Queue
from rq.registry import FailedJobRegistry

from tests.dashboard_jobs import PAYLOAD, QUEUE, failed


@pytest.mark.parametrize(
    "path",
    ["/", "/0/view/jobs", "/0/data/queues.json", "/static/js/jquery-3.5.1.min.js", "/nothing", "/requeue/default"],
)
def test_nothing_is_shown_without_a_login(anonymous: FlaskClient, path: str) -> None:
    assert anonymous.get(path).status_code == 401


@pytest.mark.parametrize("login", ["tradewire:", "tradewire:another", "root:a-token", ":", "tradewire:a-tokené"])
def test_a_wrong_login_is_refused(anonymous: FlaskClient, login: str) -> None:
    header = "Basic " + base64.b64encode(login.encode()).decode()

    assert anonymous.get("/", headers={"Authorization": header}).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_queue_is_not_requeued_by_looking_at_it(client: FlaskClient, queue: Queue, method: str) -> None:
    job = failed(queue)

    assert client.open(f"/requeue/{QUEUE}", method=method).status_code == 405
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == [job.id]


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
    job = failed(queue)

    assert client.post(f"/requeue/{QUEUE}", headers=headers).status_code == 403
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == [job.id]


@pytest.mark.parametrize("page", ["view/queues", "view/workers", f"view/jobs/{QUEUE}/failed/8/asc/1", "view/job/{id}"])
def test_no_page_puts_a_value_into_itself_as_html(client: FlaskClient, queue: Queue, page: str) -> None:
    job = failed(queue, reason=PAYLOAD, description=PAYLOAD)

    answer = client.get(f"/0/{page.format(id=job.id)}", follow_redirects=True)

    text = answer.get_data(as_text=True)
    assert "<%-" in text
    assert "<%=" not in text
    assert ".html() %>" not in text
    assert PAYLOAD not in text


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
    job = failed(queue, reason=PAYLOAD, description=PAYLOAD)

    answer = client.get(f"/0/data/job/{job.id}.json")

    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_password_of_redis_is_on_no_page(client: FlaskClient, redis_url: str) -> None:
    password = urlsplit(redis_url).password

    assert password is not None
    assert password not in client.get("/").get_data(as_text=True)
