"""The API lists signals, executions and refusals page by page. It shows counts with denominators, and accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from pipeline.intake.intake import Intake
from pipeline.model.errors import InvalidSignal
from pipeline.store.record import Record
from pipeline.views.history import signal_history
from tests.factories import Core, signal
from tests.integration.execution_states import ExecutionStates, Rows
from tests.web import BEARER, serving, web_context


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[httpx.Client]:
    with serving(web_context(record, redis_url)) as client:
        client.headers.update(BEARER)
        yield client


def ask(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_of(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """Follow the cursors to the last page, and return all items."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(20):
        body = ask(client, path, **query, **cursor)
        items += body["items"]
        assert body["has_more"] == (body["next_cursor"] is not None)
        if not body["has_more"]:
            return items
        assert len(body["items"]) == body["limit"]
        cursor = {"cursor": body["next_cursor"]}
    raise AssertionError("the pages do not end")


def test_pages_of_signals_are_the_whole_newest_first_with_their_executions(
    client: httpx.Client, intake: Intake, rows: Rows
) -> None:
    sent = [str(intake.record(signal(), source="test").signal_id) for _ in range(5)]
    # Give all signals the same time, so that signals of one time are on different pages.
    rows("UPDATE signal SET recorded_at = (SELECT min(recorded_at) FROM signal)")

    items = all_of(client, "/api/v1/signals", limit=2)

    assert sorted(item["signal_id"] for item in items) == sorted(sent)
    assert [[each["executor_id"] for each in item["executions"]] for item in items] == [["argo", "prop_firm"]] * 5
    assert all(each["signal_id"] == item["signal_id"] for item in items for each in item["executions"])


def test_signals_that_come_while_somebody_pages_move_nothing(client: httpx.Client, intake: Intake) -> None:
    sent = [str(intake.record(signal(), source="test").signal_id) for _ in range(4)]

    first = ask(client, "/api/v1/signals", limit=2)
    intake.record(signal(), source="test")
    second = ask(client, "/api/v1/signals", limit=2, cursor=first["next_cursor"])

    assert [item["signal_id"] for item in first["items"] + second["items"]] == sent[::-1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 3),
        ({"symbol": "msft"}, 1),
        ({"action": "sell"}, 1),
        ({"source": "desk"}, 1),
        ({"executor": "argo"}, 3),
        ({"executor": "nobody"}, 0),
        ({"since": "1h"}, 2),
    ],
)
def test_filters_narrow_the_signals(
    client: httpx.Client, intake: Intake, rows: Rows, query: dict[str, str], found: int
) -> None:
    intake.record(signal("AAPL"), source="test")
    intake.record(signal("MSFT"), source="desk")
    intake.record(signal("AAPL", "SELL"), source="test")
    rows("UPDATE signal SET recorded_at = now() - interval '2 hours' WHERE symbol = 'MSFT'")

    assert len(ask(client, "/api/v1/signals", **query)["items"]) == found


def test_latest_is_an_array_and_no_id(client: httpx.Client, intake: Intake) -> None:
    sent = [str(intake.record(signal(), source="test").signal_id) for _ in range(3)]

    assert [item["signal_id"] for item in ask(client, "/api/v1/signals/latest", limit=2)] == sent[:0:-1]


def test_a_signal_shows_its_whole_life_by_either_id(
    client: httpx.Client, execution_states: ExecutionStates, record: Record
) -> None:
    execution_id = execution_states.reached("accepted", order_id="o-1")
    execution_states.attempted(execution_id, "req-4711")
    expected = signal_history(record, execution_id).to_json()

    body = ask(client, f"/api/v1/signals/{execution_id}")

    assert body["executions"][0]["moves"] == expected["executions"][0]["moves"]
    assert [each["request_id"] for each in body["executions"][0]["attempts_made"]] == ["req-4711"]
    assert ask(client, f"/api/v1/signals/{expected['signal']['signal_id']}") == body
    assert client.get(f"/api/v1/signals/{uuid4()}").status_code == 404


def test_stats_count_signals_and_have_null_without_any(
    client: httpx.Client, execution_states: ExecutionStates, intake: Intake
) -> None:
    assert ask(client, "/api/v1/signals/stats")["average_confidence"] is None
    intake.record(signal(confidence=80), source="desk")
    execution_states.reached("skipped", "too_old")
    with pytest.raises(InvalidSignal):
        intake.record({"symbol": "?"}, source="test")

    body = ask(client, "/api/v1/signals/stats")

    assert (body["total_signals"], body["refused"], body["average_confidence"]) == (2, 1, "89.00")
    assert body["by_source"] == {"desk": 1, "test": 1}
    # The second signal is still queued at prop_firm.
    assert (body["active_signals"], body["closed_signals"]) == (2, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 4),
        ({"status": "rejected"}, 1),
        ({"executor": "prop_firm"}, 2),
        ({"symbol": "AAPL"}, 4),
        ({"symbol": "MSFT"}, 0),
        ({"since": "15m"}, 4),
    ],
)
def test_filters_narrow_the_executions(
    client: httpx.Client, execution_states: ExecutionStates, query: dict[str, str], found: int
) -> None:
    execution_states.reached("rejected", "rejected_by_broker")
    execution_states.recorded()

    assert len(all_of(client, "/api/v1/executions", limit=3, **query)) == found


def test_executions_of_one_signal_are_asked_for_by_its_id(client: httpx.Client, intake: Intake) -> None:
    intake.record(signal(), source="test")
    wanted = intake.record(signal(), source="test")

    items = ask(client, "/api/v1/executions", signal=str(wanted.signal_id))["items"]

    assert {item["execution_id"] for item in items} == {str(each.execution_id) for each in wanted.executions}


def test_metrics_have_their_rate_per_mode_and_null_when_there_is_nothing(
    client: httpx.Client, execution_states: ExecutionStates
) -> None:
    assert ask(client, "/api/v1/execution/metrics")["execution_rate"] is None
    execution_states.reached("filled", order_id="o-1", filled=5)
    execution_states.reached("dead", "attempts_used_up")

    body = ask(client, "/api/v1/execution/metrics", hours=1)

    assert (body["hours"], body["execution_rate"]) == (1, 0.5)
    assert body["by_executor"]["argo"]["exchange"]["execution_rate"] == 0.5
    assert body["executors"]["argo"]["dead_letters"] == 1
    assert body["executors"]["prop_firm"]["open"]["queued"] == 2


def test_reasons_are_counted_with_what_to_do(client: httpx.Client, execution_states: ExecutionStates) -> None:
    for _ in range(2):
        execution_states.reached("skipped", "too_old")
    execution_states.reached("dead", "attempts_used_up")
    execution_states.reached("filled", order_id="o-1")

    body = ask(client, "/api/v1/execution/rejection-reasons")

    assert body["reasons"] == {"too_old": 2, "attempts_used_up": 1}
    assert [(item["executor_id"], item["status"], item["count"]) for item in body["items"]] == [
        ("argo", "skipped", 2),
        ("argo", "dead", 1),
    ]
    assert all(item["meaning"] and item["remedy"] for item in body["items"])


def test_refusals_are_listed_with_what_came(client: httpx.Client) -> None:
    client.post("/api/v1/signals", json={"symbol": "?", "api_key": "hidden"})
    client.post("/api/v1/signals", content=b"nonsense")

    items = all_of(client, "/api/v1/refusals", limit=1)

    assert [(item["source"], item["code"]) for item in items] == [("api", "invalid_json"), ("api", "invalid_signal")]
    assert "hidden" not in items[1]["payload"]
    assert len(ask(client, "/api/v1/refusals", code="invalid_json")["items"]) == 1


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/signals", {"limit": 0}),
        ("/api/v1/signals", {"limit": 101}),
        ("/api/v1/signals", {"since": "yesterday"}),
        ("/api/v1/signals", {"symbol": "?"}),
        ("/api/v1/signals", {"source": "a\x00b"}),
        ("/api/v1/signals", {"cursor": "nonsense"}),
        ("/api/v1/signals", {"cursor": "äöü"}),
        ("/api/v1/executions", {"cursor": "MjAyNi0wMS0zMH45OTk5OTk5OTk5OTk5OTk5OTk5OTk"}),
        ("/api/v1/executions", {"status": "done"}),
        ("/api/v1/signals/stats", {"hours": 100_000}),
        ("/api/v1/signals/nonsense", {}),
    ],
)
def test_an_invalid_query_is_422_with_a_message(client: httpx.Client, path: str, query: dict[str, Any]) -> None:
    answer = client.get(path, params=query)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


def test_accounts_show_what_was_last_read(make_core: Callable[..., Core]) -> None:
    core = make_core()
    with serving(web_context(core.record, core.redis_url, executors=core.executors_path)) as client:
        client.headers.update(BEARER)
        before = ask(client, "/api/v1/execution/account-states")["argo"]
        core.prices(AAPL=100)
        core.run(core.send())
        core.filled_at_exchange()
        core.runtimes["argo"].snapshots.read()
        after = ask(client, "/api/v1/execution/account-states")["argo"]
        status = ask(client, "/api/v1/trading/status")

    assert (before["equity"], before["positions"], before["limits"]) == (None, None, [])
    assert after["positions_count"] == 1
    assert [(each["symbol"], each["quantity"]) for each in after["positions"]] == [("AAPL", "1")]
    # No worker runs here, and without one the account is not called "trading".
    assert (status["status"], status["executors"][0]["status"]) == ("stopped", "no_worker")
    assert status["executors"][0]["account"]["account_number"] == after["account_number"]


@pytest.mark.parametrize(
    "address", ["postgresql://nobody@127.0.0.1:1/nothing", "postgresql://u:ge%zzheim@127.0.0.1:1/d"]
)
def test_an_absent_record_is_503_in_words(redis_url: str, address: str) -> None:
    with (
        Record(address, retry_for_s=0.2) as record,
        capture_logs() as lines,
        serving(web_context(record, redis_url)) as client,
    ):
        answer = client.get("/api/v1/signals", headers=BEARER)

    error = {"code": "record_unavailable", "message": "PostgreSQL cannot be reached: try again"}
    assert (answer.status_code, answer.json()["error"]) == (503, error)
    assert [line["error"] for line in lines if line["event"] == "request.record_away"] != []
