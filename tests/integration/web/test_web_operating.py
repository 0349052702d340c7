"""Changes of switches and dead letters over HTTP are recorded with the token's name and a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from pipeline.accounts.switches import Switches
from pipeline.intake.intake import Intake
from pipeline.operations.tokens import Scope, make_token
from pipeline.store.record import Record
from tests.factories import signal
from tests.integration.execution_states import Rows
from tests.web import BEARER, serving, web_context


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[httpx.Client]:
    with serving(web_context(record, redis_url)) as client:
        client.headers.update(BEARER)
        yield client


@pytest.fixture
def dead(intake: Intake, kill: Callable[..., None]) -> UUID:
    execution_id = intake.record(signal(), source="test").executions[0].execution_id
    kill(execution_id)
    return execution_id


@pytest.mark.parametrize(
    ("turn", "kind", "flatten"),
    [("pause", "paused", False), ("reduce", "reducing", False), ("halt", "halted", False), ("flatten", "halted", True)],
)
def test_a_switch_is_turned_with_who_and_why_and_lifted_again(
    client: httpx.Client, record: Record, turn: str, kind: str, *, flatten: bool
) -> None:
    token = make_token(record, "desk", [Scope.OPERATE], by="test")
    answer = client.post(
        f"/api/v1/executors/argo/{turn}", json={"why": "news"}, headers={"Authorization": f"Bearer {token}"}
    )
    stood = Switches(record).active_switches("argo").switches
    lifted = client.post("/api/v1/executors/argo/resume", json={"why": "over"}).json()

    assert answer.status_code == 200
    assert [(each["kind"], each["flatten"]) for each in answer.json()["switches"]] == [(kind, flatten)]
    assert [(each.kind.value, each.set_by, each.why) for each in stood] == [(kind, "desk@http", "news")]
    assert [each["kind"] for each in lifted["lifted"]] == [kind]
    assert Switches(record).active_switches("argo").switches == ()


def test_the_status_shows_the_switches(client: httpx.Client) -> None:
    client.post("/api/v1/executors/argo/halt", json={"why": "news"})

    argo, prop_firm = client.get("/api/v1/trading/status").json()["executors"]

    assert (argo["status"], prop_firm["status"]) == ("halted", "no_worker")
    assert [each["why"] for each in argo["switches"]] == ["news"]


def test_a_dead_letter_is_listed_and_put_back_to_work_once(client: httpx.Client, dead: UUID, rows: Rows) -> None:
    listed = client.get("/api/v1/dead-letters").json()
    answer = client.post(f"/api/v1/dead-letters/{dead}/requeue", json={"why": "broker is back"})
    again = client.post(f"/api/v1/dead-letters/{dead}/requeue", json={"why": "broker is back"})

    assert [each["execution_id"] for each in listed["items"]] == [str(dead)]
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_possible")
    assert client.get("/api/v1/dead-letters").json()["items"] == []
    assert rows("SELECT closed_by, closed_why FROM dead_letter") == [
        {"closed_by": "api@http", "closed_why": "broker is back"}
    ]


def test_a_dead_letter_is_discarded_for_good(client: httpx.Client, dead: UUID) -> None:
    answer = client.post(f"/api/v1/dead-letters/{dead}/discard", json={"why": "stale"})

    assert (answer.status_code, answer.json()["status"]) == (200, "discarded")


@pytest.mark.parametrize(
    "path", ["/api/v1/executors/nobody/halt", f"/api/v1/dead-letters/{uuid4()}/requeue"], ids=["executor", "letter"]
)
def test_what_is_not_there_is_404(client: httpx.Client, path: str) -> None:
    assert client.post(path, json={"why": "news"}).status_code == 404


@pytest.mark.parametrize(
    "content",
    [b"{}", b'{"why": ""}', b'{"why": "   "}', b'{"why": "a\\u0000b"}', b'{"why": "\\ud800"}', b'{"why": 1}', b"\xff"],
)
@pytest.mark.parametrize("body_type", ["application/json", "application/json; charset=utf-16"])
def test_nothing_is_done_without_a_reason(client: httpx.Client, record: Record, content: bytes, body_type: str) -> None:
    answer = client.post("/api/v1/executors/argo/halt", content=content, headers={"Content-Type": body_type})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert Switches(record).active_switches("argo").switches == ()


def test_an_unknown_key_is_refused_and_quoted_safely(client: httpx.Client) -> None:
    body: dict[str, Any] = {"why": "news", "flaten": True}

    assert "flaten" in client.post("/api/v1/executors/argo/halt", json=body).json()["error"]["message"]
    broken = client.post(
        "/api/v1/executors/argo/halt",
        content=b'{"why": "news", "\\ud800": 1}',
        headers={"Content-Type": "application/json"},
    )
    assert broken.status_code == 422
