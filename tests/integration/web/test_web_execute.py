"""`POST /api/v1/trading/execute` returns the outcome, or 202 while there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from pipeline.entrypoints.web.api.outcomes import Outcomes
from pipeline.intake.intake import Recorded
from pipeline.model.errors import RecordUnavailable
from pipeline.store.record import Record
from tests.factories import Core, executor_toml, signal, until
from tests.waiting import patience
from tests.web import BEARER, serving, web_context

TWO = executor_toml("argo") + executor_toml("prop_firm", minimum_confidence=82)


@contextmanager
def asking(core: Core) -> Iterator[Callable[..., Future[httpx.Response]]]:
    """Serve the application, and send requests in threads, because an answer waits for the decision."""
    context = web_context(core.record, core.redis_url, executors=core.executors_path)
    with serving(context) as client, ThreadPoolExecutor(8) as pool:

        def ask(raw: dict[str, Any], **query: Any) -> Future[httpx.Response]:
            url = "/api/v1/trading/execute"
            return pool.submit(client.post, url, json=raw, params=query, headers=BEARER)

        yield ask


def executions_of(core: Core) -> dict[str, Any]:
    """Wait until a signal is recorded, and return its execution ids by executor."""
    rows = until(lambda: core.rows("SELECT executor_id, execution_id FROM execution ORDER BY seq"))
    return {row["executor_id"]: row["execution_id"] for row in rows}


def test_it_answers_with_the_order_id_when_there_is_one(core: Core) -> None:
    with asking(core) as ask:
        asked = ask(signal())
        order_id = core.run(executions_of(core)["argo"])["order_id"]
        answer = asked.result(patience(15))

    body = answer.json()
    assert answer.status_code == 200
    assert (body["success"], body["order_id"], body["executor_id"]) == (True, order_id, "argo")
    assert [each["execution_id"] for each in body["executions"]] == [str(executions_of(core)["argo"])]


def test_all_executors_are_waited_for_and_the_first_that_did_not_skip_is_shown(
    make_core: Callable[..., Core],
) -> None:
    core = make_core(TWO)
    core.prices(AAPL=100)
    with asking(core) as ask:
        asked = ask(signal(executors=["prop_firm"]))
        core.run(executions_of(core)["prop_firm"], "prop_firm")
        body = asked.result(patience(15)).json()

    assert (body["executor_id"], body["success"]) == ("prop_firm", True)
    assert body["executions"][0]["status"] == "skipped"


def test_a_named_executor_is_the_one_that_is_waited_for(make_core: Callable[..., Core]) -> None:
    core = make_core(TWO)
    with asking(core) as ask:
        answer = ask(signal(confidence=78), executor="prop_firm").result(patience(15))

    body = answer.json()
    assert answer.status_code == 200
    assert (body["success"], body["executor_id"], body["status"]) == (False, "prop_firm", "skipped")
    assert body["reason"].startswith("confidence_below_minimum")
    # The request only names the executor whose outcome is returned; the signal still goes to all executors.
    assert [each["status"] for each in body["executions"]] == ["queued", "skipped"]


def test_a_signal_that_every_executor_skips_is_200_with_the_first_reason(make_core: Callable[..., Core]) -> None:
    core = make_core(TWO)
    with asking(core) as ask:
        answer = ask(signal(confidence=10)).result(patience(15))

    assert answer.status_code == 200
    assert (answer.json()["executor_id"], answer.json()["status"]) == ("argo", "skipped")


def test_what_is_not_decided_in_time_is_202_and_goes_on(core: Core) -> None:
    with asking(core) as ask:
        answer = ask(signal(), timeout=0.2).result(patience(15))

    body = answer.json()
    assert answer.status_code == 202
    assert (body["success"], body["order_id"], body["status"]) == (False, None, "queued")
    assert core.run(executions_of(core)["argo"])["order_id"] is not None


def test_the_same_signal_again_gets_the_first_outcome(core: Core) -> None:
    with asking(core) as ask:
        raw = signal(source_id="1")
        first = ask(raw, timeout=0).result(patience(15))
        order_id = core.run(executions_of(core)["argo"])["order_id"]
        again = ask(raw).result(patience(15))

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["order_id"] == order_id
    assert len(core.orders()) == 1


@pytest.mark.parametrize(
    ("raw", "query", "status", "code"),
    [
        (signal(confidence=0.98), {}, 422, "invalid_signal"),
        (signal(), {"executor": "nobody"}, 422, "unknown_executor"),
        (signal(), {"timeout": 61}, 422, "invalid_request"),
        (signal(), {"timeout": "nan"}, 422, "invalid_request"),
        (signal(source_id="taken"), {}, 409, "source_id_conflict"),
    ],
)
def test_what_is_refused_is_not_recorded(
    core: Core, raw: dict[str, Any], query: dict[str, Any], status: int, code: str
) -> None:
    core.intake.record(signal(source_id="taken", action="SELL"), source="api")
    with asking(core) as ask:
        answer = ask(raw, **query).result(patience(15))

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert core.rows("SELECT count(*) AS n FROM signal") == [{"n": 1}]


def test_many_waiting_requests_share_one_query_and_hold_no_thread(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = Record.run

    def counted(record: Record, unit: Any, **options: Any) -> Any:
        looks.append(1)
        return look(record, unit, **options)

    with asking(core) as ask:
        asked = [ask(signal(), timeout=3) for _ in range(8)]
        until(lambda: core.rows("SELECT count(*) AS n FROM signal")[0]["n"] == 8)
        monkeypatch.setattr(Record, "run", counted)
        time.sleep(1)
        monkeypatch.undo()
        answers = [each.result(patience(15)) for each in asked]

    # All waiting requests share twenty reads a second. Without sharing, each of the eight would make as many.
    assert 0 < len(looks) <= 25
    assert {answer.status_code for answer in answers} == {202}


async def _waited(record: Record, recorded: Recorded) -> float:
    began = time.monotonic()
    await Outcomes(record).of(recorded, executor_id=None, timeout_s=0.3)
    return time.monotonic() - began


def test_a_request_waits_while_postgresql_is_away(core: Core) -> None:
    import asyncio

    recorded = core.intake.record(signal(), source="test")
    with Record("postgresql://nobody@127.0.0.1:1/nothing", retry_for_s=0.0) as away:
        with pytest.raises(RecordUnavailable):
            away.run(lambda connection: connection.execute("SELECT 1"))
        assert asyncio.run(_waited(away, recorded)) >= 0.3
