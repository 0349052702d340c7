"""Server-sent events contain every move once and in order; after a reconnect they go on after the last one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pipeline.operations.tokens import Scope, make_token, revoke_token
from pipeline.store.record import Record
from tests.integration.execution_states import ExecutionStates, Rows
from tests.waiting import patience
from tests.web import BEARER, TOKEN, serving, web_context

Event = tuple[int, str, dict[str, Any]]


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[httpx.Client]:
    with serving(web_context(record, redis_url)) as made:
        yield made


def events(
    client: httpx.Client, path: str = "/api/v1/events", *, token: bool = True, **headers: str
) -> Iterator[Event]:
    """Yield the events as they arrive; the client's time limit bounds each wait."""
    headers = (BEARER if token else {}) | headers
    with client.stream("GET", path, headers=headers, timeout=patience(15)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}


def last(rows: Rows) -> int:
    return int(rows("SELECT coalesce(max(history_id), 0) AS last FROM history")[0]["last"])


def test_a_move_is_sent_as_it_happens(client: httpx.Client, execution_states: ExecutionStates, rows: Rows) -> None:
    seen = events(client, f"/api/v1/events?after={last(rows)}")
    execution_id = execution_states.recorded()

    _, first, told = next(seen)
    execution_states.claimed(execution_id)
    later = [each for _, _, each in (next(seen), next(seen))]

    assert first == "move"
    assert told["status"] == "queued"
    assert [(each["execution_id"], each["status"]) for each in later][-1] == (str(execution_id), "submitting")


def test_a_client_that_reconnects_gets_missed_moves_once_and_in_order(
    client: httpx.Client, execution_states: ExecutionStates, rows: Rows
) -> None:
    seen = events(client, "/api/v1/events?after=0")
    execution_states.recorded()
    number, _, _ = next(seen)
    seen.close()  # type: ignore[attr-defined]
    for _ in range(3):
        execution_states.reached("accepted", order_id=None)
    missed = [
        row["history_id"] for row in rows("SELECT history_id FROM history ORDER BY 1") if row["history_id"] > number
    ]

    again = events(client, **{"Last-Event-ID": str(number)})
    first = [next(again)[0] for _ in missed]
    execution_states.recorded()

    assert first == missed
    assert next(again)[0] == missed[-1] + 1


def test_two_listeners_get_the_same_and_without_listeners_nothing_is_read(
    client: httpx.Client, execution_states: ExecutionStates, rows: Rows
) -> None:
    one, other = (events(client, f"/api/v1/events?after={last(rows)}") for _ in range(2))
    execution_states.recorded()

    assert next(one) == next(other)
    one.close()  # type: ignore[attr-defined]
    execution_states.recorded()
    assert next(other)[0] < next(other)[0]


@pytest.mark.parametrize("after", [0, 10**9])
def test_a_client_that_missed_too_much_gets_a_reset(
    client: httpx.Client, execution_states: ExecutionStates, rows: Rows, after: int
) -> None:
    execution_id = execution_states.recorded()
    rows(
        "INSERT INTO history (execution_id, to_state, fence, moved_by) "
        "SELECT %s, 'queued', 0, 'test' FROM generate_series(1, 6000)",
        [execution_id],
    )

    seen = events(client, f"/api/v1/events?after={after}")

    assert next(seen)[:2] == (last(rows), "reset")
    execution_states.claimed(execution_id)
    assert next(seen)[2]["status"] == "submitting"


def test_the_stream_needs_the_scope_read(client: httpx.Client, record: Record) -> None:
    sender = make_token(record, "sender", [Scope.SIGNAL], by="test")

    assert client.get("/api/v1/events").status_code == 401
    assert client.get("/api/v1/events", headers={"Authorization": f"Bearer {sender}"}).status_code == 403


def test_an_id_that_is_not_a_number_starts_from_now(client: httpx.Client, execution_states: ExecutionStates) -> None:
    before, seen = execution_states.recorded(), threading.Event()

    def go_on() -> None:
        while not seen.wait(0.3):
            execution_states.recorded()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        _, kind, told = next(events(client, **{"Last-Event-ID": "nonsense"}))
    finally:
        seen.set()
        thread.join(10)

    assert kind == "move"
    assert told["execution_id"] != str(before)


@pytest.fixture
def checked_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the right of a stream at every change."""
    monkeypatch.setattr("pipeline.entrypoints.web.api.events._CHECK_EVERY_S", 0.0)
    monkeypatch.setattr("pipeline.entrypoints.web.api.auth._KEPT_S", 0.0)


@pytest.mark.usefixtures("checked_always")
def test_the_stream_of_a_revoked_token_ends_although_changes_go_on(
    client: httpx.Client, record: Record, execution_states: ExecutionStates
) -> None:
    reader = make_token(record, "reader", [Scope.READ], by="test")
    seen = events(client, "/api/v1/events?after=0", Authorization=f"Bearer {reader}")
    execution_states.recorded()
    assert next(seen)[1] == "move"

    revoke_token(record, "reader", by="test")
    later = execution_states.recorded()

    assert str(later) not in [told["execution_id"] for _, _, told in seen]


@pytest.mark.usefixtures("checked_always")
def test_the_stream_of_a_login_ends_with_the_login_although_changes_go_on(
    client: httpx.Client, execution_states: ExecutionStates
) -> None:
    def form(path: str, **fields: str) -> None:
        found = re.search(r'name="csrf" value="(\w+)"', client.get("/login" if path == "/login" else "/").text)
        assert found is not None
        assert client.post(path, data={"csrf": found[1], **fields}).status_code == 303

    form("/login", token=TOKEN)
    seen = events(client, "/api/v1/events?after=0", token=False)
    execution_states.recorded()
    assert next(seen)[1] == "move"

    form("/logout")
    later = execution_states.recorded()

    assert str(later) not in [told["execution_id"] for _, _, told in seen]
