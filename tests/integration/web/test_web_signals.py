"""`POST /api/v1/signals` answers 201 only after the commit, a message to a bad signal, and 503 without a commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis

from pipeline.store.record import Record
from tests.web import BEARER, serving, web_context

A_SIGNAL = {"source_id": "1", "symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 190.1}


@contextmanager
def served(database_url: str, redis_url: str) -> Iterator[httpx.Client]:
    with Record(database_url, retry_for_s=0.5) as record, serving(web_context(record, redis_url)) as client:
        yield client


@pytest.fixture
def client(database_url: str, redis_url: str) -> Iterator[httpx.Client]:
    with served(database_url, redis_url) as made:
        yield made


def post(client: httpx.Client, body: Any, **headers: str) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/api/v1/signals", content=content, headers=BEARER | headers)
    return answer.status_code, answer.json()


def test_a_new_signal_is_201_and_the_same_again_is_200_with_the_first_record(
    client: httpx.Client, redis_url: str
) -> None:
    status, first = post(client, A_SIGNAL)
    again_status, again = post(client, A_SIGNAL)

    assert (status, again_status) == (201, 200)
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert first["signal_id"] == again["signal_id"]
    assert [row["status"] for row in first["executions"]] == ["queued", "queued"]
    assert redis.Redis.from_url(redis_url).llen("rq:queue:executor-argo") == 1


def test_the_same_source_id_for_another_signal_is_409(client: httpx.Client) -> None:
    post(client, A_SIGNAL)

    status, body = post(client, A_SIGNAL | {"action": "SELL"})

    assert (status, body["error"]["code"]) == (409, "source_id_conflict")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{nonsense", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[]", "invalid_json"),
        (json.dumps([A_SIGNAL, A_SIGNAL]).encode(), "invalid_json"),
        (json.dumps(A_SIGNAL | {"confidence": 0.98}).encode(), "invalid_signal"),
    ],
)
def test_what_is_no_signal_is_422_in_words(client: httpx.Client, body: bytes, code: str) -> None:
    status, answer = post(client, body)

    assert (status, answer["error"]["code"]) == (422, code)
    assert answer["error"]["message"]


def test_without_the_token_nothing_is_recorded(client: httpx.Client, database_url: str) -> None:
    statuses = [post(client, A_SIGNAL, Authorization=given)[0] for given in ("", "Bearer wrong", "Basic open-sesame")]

    with Record(database_url) as record:
        count = record.run(lambda connection: connection.execute("SELECT count(*) FROM signal").fetchone())
    assert statuses == [401, 401, 401]
    assert count == {"count": 0}


def test_a_body_that_is_too_long_is_413(client: httpx.Client) -> None:
    assert post(client, b" " * 70_000)[0] == 413


def test_what_cannot_be_committed_is_503_and_never_acknowledged(redis_url: str) -> None:
    with served("postgresql://nobody@127.0.0.1:1/nothing", redis_url) as client:
        status, body = post(client, A_SIGNAL)
        bad_status, _ = post(client, b"{nonsense")

    assert (status, body["error"]["code"]) == (503, "record_unavailable")
    assert bad_status == 503
    assert redis.Redis.from_url(redis_url).keys("rq:queue:*") == []
