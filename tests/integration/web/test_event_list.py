"""`GET /api/v1/events?since=` lists events in pages, in their order and without a gap, for tokens that may read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pipeline.operations.tokens import Scope, make_token
from pipeline.store.record import Record
from pipeline.views.event_schemas import EventView
from tests.integration.execution_states import ExecutionStates
from tests.web import BEARER, serving, web_context


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[httpx.Client]:
    with serving(web_context(record, redis_url)) as made:
        yield made


def events(client: httpx.Client, **parameters: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/events", params=parameters, headers=BEARER)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_the_pages_have_every_event_once_and_in_order(client: httpx.Client, execution_states: ExecutionStates) -> None:
    ended = [execution_states.recorded() for _ in range(5)]
    for execution_id in ended:
        execution_states.moved(execution_id, "skipped", "halted")

    seen: list[dict[str, Any]] = []
    while page := events(client, since=seen[-1]["event_id"] if seen else 0, limit=2):
        assert len(page) <= 2
        seen += page

    assert [event["event_id"] for event in seen] == list(range(1, len(ended) + 1))
    assert [event["execution_id"] for event in seen] == [str(each) for each in ended]
    assert all(list(event) == list(EventView.model_fields) for event in seen)
    assert events(client, since=len(ended)) == []


def test_a_new_event_is_there_although_no_keeper_runs(client: httpx.Client, execution_states: ExecutionStates) -> None:
    assert events(client, since=0) == []
    execution_id = execution_states.recorded()
    execution_states.moved(execution_id, "skipped", "halted")

    [event] = events(client, since=0)

    assert (event["kind"], event["data"]["status"], event["data"]["reason_code"]) == ("decision", "skipped", "halted")


@pytest.mark.parametrize("since", ["", "abc", "-1", "1.5", "2h", "1_0", "\u0661", str(2**63), "1"])
def test_what_is_no_id_of_an_event_is_refused(client: httpx.Client, since: str) -> None:
    answer = client.get("/api/v1/events", params={"since": since}, headers=BEARER)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_request"
    assert "since" in answer.json()["error"]["message"]


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_limit_that_is_none_is_refused(client: httpx.Client, limit: str) -> None:
    assert client.get("/api/v1/events", params={"since": 0, "limit": limit}, headers=BEARER).status_code == 422


def test_the_list_needs_the_scope_read(client: httpx.Client, record: Record) -> None:
    tokens = {scope: make_token(record, scope.value, [scope], by="test") for scope in Scope}

    def status(**headers: str) -> int:
        return client.get("/api/v1/events?since=0", headers=headers).status_code

    assert status() == 401
    assert status(Authorization="Bearer wrong-wrong-wrong") == 401
    answers = {scope: status(Authorization=f"Bearer {token}") for scope, token in tokens.items()}
    assert answers == {scope: 200 if scope is Scope.READ else 403 for scope in Scope}
