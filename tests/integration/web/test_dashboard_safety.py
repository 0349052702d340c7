"""rq-dashboard needs a login, changes nothing by accident and runs no foreign script."""

from __future__ import annotations

import base64
import re
import zlib
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import rq_dashboard
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry
from starlette.testclient import TestClient

from pipeline.entrypoints.rq_dashboard import make_app, make_server
from tests.dashboard_jobs import LOGIN, PAYLOAD, QUEUE, TOKEN, busy_worker, enqueued, failed


def basic(login: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


@pytest.mark.parametrize(
    "path",
    ["/", "/0/view/jobs", "/0/data/queues.json", "/static/js/jquery-3.5.1.min.js", "/nothing", "/requeue/default"],
)
def test_nothing_is_shown_without_a_login(anonymous: FlaskClient, path: str) -> None:
    assert anonymous.get(path).status_code == 401


@pytest.mark.parametrize(
    "login", ["tradewire:", "tradewire:another", "root:a-token-of-our-own", ":", "tradewire:a-token-of-our-owné"]
)
def test_a_wrong_login_is_refused(anonymous: FlaskClient, login: str) -> None:
    assert anonymous.get("/", headers=basic(login)).status_code == 401


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
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
def test_a_post_from_another_page_is_refused(redis_url: str, queue: Queue, headers: dict[str, str]) -> None:
    job = failed(queue)
    client = TestClient(make_server(make_app(redis_url, TOKEN), ()), base_url="http://127.0.0.1:9181", headers=LOGIN)

    assert client.post(f"/requeue/{QUEUE}", headers=headers).status_code == 403
    assert FailedJobRegistry(queue=queue).get_job_ids(cleanup=False) == [job.id]
    assert client.post(f"/requeue/{QUEUE}", headers={"Origin": "http://127.0.0.1:9181"}).status_code == 200


def test_passwords_are_guessed_slowly_and_the_right_one_of_before_goes_on(anonymous: FlaskClient) -> None:
    assert anonymous.get("/", headers=LOGIN).status_code == 200

    statuses = [anonymous.get("/", headers=basic(f"tradewire:guess-{number}")).status_code for number in range(30)]

    assert statuses == [401] * 20 + [429] * 10
    assert anonymous.get("/", headers=LOGIN).status_code == 200


def test_every_value_in_a_script_is_json() -> None:
    app = make_app("redis://127.0.0.1:1", TOKEN)
    folder = Path(rq_dashboard.__file__).parent / "templates"
    scripts = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.js"))
    assert len(scripts) == 5
    for name in scripts:
        source, *_ = app.jinja_loader.get_source(app.jinja_env, name)
        for value in re.findall(r".{{.*?}}.", source):
            assert re.fullmatch(r"[^'\"]{{ [\w.]+\|tojson }}[^'\"]", value), f"{name}: {value}"


HOSTILE = "';document.title='hostile';'</script><script>document.title='hostile'</script>"


@pytest.mark.parametrize(
    "key", [f"rq:queue:{HOSTILE}", "no-prefix", "rq:queue:", b"rq:queue:\xff", "rq:queue:a/b?#%2e"]
)
def test_a_hostile_name_of_a_queue_breaks_no_page(client: FlaskClient, redis_client: Redis, key: str) -> None:
    redis_client.sadd("rq:queues", key, f"rq:queue:{QUEUE}")

    for page in (
        "/0/view/queues",
        "/0/view/jobs",
        "/0/data/queues.json",
        f"/0/view/jobs/{quote(HOSTILE)}/queued/8/asc/1",
    ):
        assert client.get(page, follow_redirects=True).status_code in (200, 404), page
    assert QUEUE in client.get("/0/data/queues.json").get_data(as_text=True)


@pytest.mark.parametrize(
    "values",
    [
        {"birth": "yesterday"},
        {"birth": "2026-01-01T00:00:00Z", "queues": "\x00,,"},
        {"failed_job_count": "many", "total_working_time": "1e999999"},
        {"current_job": "none", "state": "<b>"},
        {"shutdown_requested_date": "x", "pid": "one", "last_heartbeat": "\ud7ff"},
    ],
)
def test_a_hostile_worker_is_never_an_error_of_ours(
    client: FlaskClient, redis_client: Redis, queue: Queue, values: dict[str, str]
) -> None:
    busy_worker(queue, enqueued(queue))
    redis_client.sadd("rq:workers", "rq:worker:evil", "evil")
    redis_client.hset("rq:worker:evil", mapping=values)

    for page in ("/0/view/workers", "/0/data/workers.json"):
        assert client.get(page, follow_redirects=True).status_code < 500, page


@pytest.mark.parametrize("page", ["view/queues", "data/queues.json", "view/workers", "data/workers.json"])
def test_a_key_of_another_type_is_never_an_error_of_ours(client: FlaskClient, redis_client: Redis, page: str) -> None:
    redis_client.set("rq:queues", "x")
    redis_client.set("rq:workers", "x")

    assert client.get(f"/0/{page}", follow_redirects=True).status_code < 500


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


def test_a_job_that_would_unpack_to_gigabytes_is_not_read(client: FlaskClient, queue: Queue) -> None:
    job = failed(queue)
    queue.connection.hset(job.key, "exc_info", zlib.compress(b"a" * 200_000_000))

    assert client.get(f"/0/data/job/{job.id}.json").status_code == 422
    assert client.get(f"/0/data/jobs/{QUEUE}/failed/10/asc/1.json").status_code == 422
