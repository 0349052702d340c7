"""Orders by hand over HTTP: the list, a cancel and a close, with the token's name in the history."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from pipeline.operations.tokens import Scope, make_token
from tests.factories import Core
from tests.integration.by_hand.commands import follow_ups, followed, held, keep, worked
from tests.integration.limited_stage import filled
from tests.web import BEARER, serving, web_context

CLOSE = "/api/v1/positions/argo/AAPL/close"


@pytest.fixture
def client(core: Core) -> Iterator[httpx.Client]:
    with serving(web_context(core.record, core.redis_url, executors=core.executors_path)) as client:
        client.headers.update(BEARER)
        yield client


def resting(core: Core) -> dict[str, object]:
    return core.run(core.send("AAPL", entry_price=90))


def test_an_order_is_listed_canceled_and_gone_with_the_tokens_name(client: httpx.Client, core: Core) -> None:
    entry = resting(core)
    token = make_token(core.record, "desk", [Scope.OPERATE], by="test")
    desk = {"Authorization": f"Bearer {token}"}

    [listed] = client.get("/api/v1/orders", params={"executor": "argo"}).json()
    answers = [
        client.post(f"/api/v1/orders/{entry['order_id']}/cancel", json={"why": "news"}, headers=headers)
        for headers in (desk, BEARER)
    ]
    keep(core)
    row = followed(core, UUID(listed["execution_id"]), "canceled")
    after = client.post(f"/api/v1/orders/{entry['order_id']}/cancel")

    assert (listed["order_id"], listed["role"], listed["limit_price"]) == (entry["order_id"], "entry", "90.45")
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    body = answers[0].json()
    assert (body["requested_by"], body["why"], body["ended"], body["missing"]) == (
        "desk@http",
        "news",
        False,
        ["keeper"],
    )
    assert (row["reason_code"], row["reason_facts"]["by"]) == ("canceled_by_person", "desk@http")
    assert (after.status_code, after.json()["error"]["code"]) == (409, "not_possible")
    assert client.get("/api/v1/orders").json() == []


def test_the_cancel_of_an_exit_needs_a_reason(client: httpx.Client, core: Core) -> None:
    filled(core, quantity=3)
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    sale = core.run(core.send("AAPL", "SELL"))
    path = f"/api/v1/orders/{sale['client_order_id']}/cancel"

    answers = [client.post(path), client.post(path, json={"why": " "}), client.post(path, json={"why": "keep it"})]
    keep(core)
    followed(core, sale["execution_id"], "canceled")
    follow_ups(core)

    assert [answer.status_code for answer in answers] == [422, 422, 202]
    assert held(core) == 3
    assert core.rows("SELECT 1 FROM signal WHERE source LIKE 'tradewire:%%'") == []


def test_a_position_is_closed_in_part_and_then_once(client: httpx.Client, core: Core) -> None:
    filled(core, quantity=5)

    half = client.post(CLOSE, json={"percent": 50, "why": "less"}, params={"timeout": 0})
    worked(core, UUID(half.json()["executions"][0]["execution_id"]), "filled")
    first, again = (client.post(CLOSE, json={"source_id": "7"}, params={"timeout": 0}).json() for _ in range(2))
    worked(core, UUID(first["executions"][0]["execution_id"]), "filled")
    done = client.post(CLOSE, json={"source_id": "7"})

    assert (half.status_code, half.json()["status"]) == (202, "queued")
    assert first["signal_id"] == again["signal_id"]
    assert (done.status_code, done.json()["success"], done.json()["status"]) == (200, True, "filled")
    assert [order["qty"] for order in core.orders() if order["side"] == "sell"] == ["2", "3"]
    born = core.rows("SELECT moved_by, moved_why FROM history WHERE to_state = 'queued' ORDER BY history_id")
    assert (born[1]["moved_by"], born[1]["moved_why"]) == ("api@http", "less")


def test_a_limit_close_of_a_coin_by_a_path_with_a_slash(client: httpx.Client, core: Core) -> None:
    core.prices(**{"ETH/USD": 1000})
    filled(core, "ETH/USD", entry_price=1000, quantity=1)

    answer = client.post("/api/v1/positions/argo/ETH%2FUSD/close", json={"limit": "1100"}, params={"timeout": 0})
    worked(core, UUID(answer.json()["executions"][0]["execution_id"]), "accepted")

    [order] = client.get("/api/v1/orders").json()
    assert (order["symbol"], order["role"], order["limit_price"]) == ("ETH/USD", "exit", "1100")


def test_what_is_not_there_or_not_possible(client: httpx.Client, core: Core) -> None:
    empty = client.post(CLOSE, params={"timeout": 0}, json={"source_id": "1"}).json()
    core.run(UUID(empty["executions"][0]["execution_id"]))

    none = client.post(CLOSE, json={"source_id": "1"})
    conflict = client.post(CLOSE, json={"source_id": "1", "percent": 50})

    assert (none.status_code, none.json()["error"]["code"]) == (409, "no_position")
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "source_id_conflict")
    for path, status in (
        (f"/api/v1/orders/{uuid4()}/cancel", 404),
        ("/api/v1/orders/nonsense/cancel", 404),
        ("/api/v1/orders/a%00b/cancel", 422),
        ("/api/v1/positions/nobody/AAPL/close", 404),
        ("/api/v1/positions/argo/A$PL/close", 422),
    ):
        assert client.post(path).status_code == status, path
    for body in ({"percent": 0}, {"percent": 101}, {"limit": -1}, {"limit": True}, {"percnt": 50}, {"why": ""}):
        assert client.post(CLOSE, json=body).status_code == 422, body
    assert len(core.rows("SELECT 1 FROM signal")) == 1


def test_a_token_that_only_reads_or_sends_may_not(client: httpx.Client, core: Core) -> None:
    token = make_token(core.record, "reader", [Scope.READ, Scope.SIGNAL], by="test")
    reader = {"Authorization": f"Bearer {token}"}
    entry = resting(core)

    assert client.get("/api/v1/orders", headers=reader).status_code == 200
    for path in (CLOSE, f"/api/v1/orders/{entry['order_id']}/cancel"):
        assert client.post(path, headers=reader).status_code == 403
        assert client.post(path, headers={"Origin": "http://evil.example"}).status_code == 403
    assert core.rows("SELECT 1 FROM broker_order WHERE cancel_requested_at IS NOT NULL") == []
