"""A documented payload becomes a signal or a clear refusal. Sending it again neither loses nor doubles the signal."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.webhooks.webhook_stage import PAYLOADS, SECRET, Stage, body_of, webhook_stage
from tests.waiting import patience

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((PAYLOADS / "expected.toml").read_text("utf-8"))
SIGNALS = [name for name, expected in EXPECTED.items() if "signal" in expected]
FIGURES = {"entry_price", "stop_price", "target_price", "quantity", "notional", "confidence"}


@pytest.fixture
def stage(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("WEBHOOK_TRADINGVIEW_SECRET", SECRET)
    file = tmp_path / "webhooks.toml"
    file.write_text("")
    with webhook_stage(database_url, redis_url, file, retry_for_s=0.1) as served:
        yield served


def test_every_payload_has_an_expected_signal() -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in PAYLOADS.iterdir() if path.name != "expected.toml")
    assert len(EXPECTED) >= 30
    assert all(("signal" in expected) != ("refused" in expected) for expected in EXPECTED.values())


def test_each_becomes_its_signal_or_a_refusal_with_a_sentence(stage: Stage) -> None:
    wrong = [fault for name, expected in EXPECTED.items() for fault in faults(stage, name, expected)]

    assert wrong == []


def faults(stage: Stage, name: str, expected: dict[str, Any]) -> Iterator[str]:
    """Deliver one payload, and yield each difference from the expected result."""
    answer = stage.alert(body_of(name))
    (delivery,) = stage.deliveries(limit=1)
    if "refused" in expected:
        error = answer.json().get("error", {})
        if (answer.status_code, error.get("code"), delivery["code"]) != (422, expected["refused"], expected["refused"]):
            yield f"{name}: {answer.status_code} {answer.text}"
        if len(error.get("message", "").split()) < 4:
            yield f"{name}: no sentence: {error}"
        return
    if answer.status_code != 201:
        yield f"{name}: {answer.status_code} {answer.text}"
        return
    (row,) = stage.rows(f"SELECT * FROM signal WHERE signal_id = '{answer.json()['signal_id']}'")
    for key, value in expected["signal"].items():
        is_right = row[key] == Decimal(value) if key in FIGURES else str(row[key]) == value
        if not is_right:
            yield f"{name}: {key} is {row[key]}, not {value}"
    for key in ("dialect", "identity"):
        if key in expected and delivery[key] != expected[key]:
            yield f"{name}: {key} is {delivery[key]}, not {expected[key]}"
    if (row["source"], row["confidence"], delivery["signal_id"]) != ("tradingview", 100, str(row["signal_id"])):
        yield f"{name}: {row['source']} {row['confidence']} {delivery['signal_id']}"


def test_three_re_sends_get_the_first_record_and_record_nothing(stage: Stage) -> None:
    for name in SIGNALS:
        body = body_of(name)
        answers = [stage.alert(body) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [201, 200, 200, 200], name
        assert len({answer.json()["signal_id"] for answer in answers}) == 1, name

    assert stage.rows("SELECT count(*) AS n FROM signal") == [{"n": len(SIGNALS)}]
    outcomes = [item["outcome"] for item in stage.deliveries(limit=100)]
    assert outcomes.count("accepted") == min(len(SIGNALS), 25)
    assert set(outcomes) == {"accepted", "resend"}


def test_tries_that_arrive_at_once_are_one_signal(stage: Stage) -> None:
    bodies = [body_of(name) for name in SIGNALS[:6]]
    start = threading.Barrier(4, timeout=patience(10))

    def deliver(body: bytes) -> tuple[int, str]:
        start.wait()
        answer = stage.alert(body)
        return answer.status_code, answer.json()["signal_id"]

    with ThreadPoolExecutor(4) as pool:
        for body in bodies:
            answers = list(pool.map(deliver, [body] * 4))
            statuses = sorted(status for status, _ in answers)
            assert statuses == [200, 200, 200, 201] or (stage.sent_again and statuses == [200] * 4)
            assert len({signal_id for _, signal_id in answers}) == 1

    assert stage.rows("SELECT count(*) AS n FROM signal") == [{"n": 6}]


def test_an_alert_that_could_not_be_committed_is_503_and_recorded_once_when_it_is_sent_again(stage: Stage) -> None:
    """PostgreSQL twice refuses one of an alert's two commits. The third try records the alert, the fourth finds it."""
    for number, name in enumerate(SIGNALS):
        table = ("delivery", "signal")[number % 2]
        body = body_of(name)
        trouble(stage, table, "RAISE EXCEPTION 'no writes now' USING ERRCODE = 'read_only_sql_transaction';")
        first = [stage.alert_once(body).status_code for _ in range(2)]
        stage.change(f"DROP TRIGGER trouble ON {table}")
        then = [stage.alert(body).status_code for _ in range(2)]
        assert (first, then) == ([503, 503], [201, 200]), name

    assert stage.rows("SELECT count(*) AS n FROM signal") == [{"n": len(SIGNALS)}]


def test_one_that_is_committed_too_late_to_be_answered_is_503_and_found_by_the_re_send(stage: Stage) -> None:
    body = body_of(SIGNALS[0])
    trouble(stage, "signal", "PERFORM pg_sleep(3);")

    assert stage.alert_once(body).status_code == 503
    # This statement waits until the commit that is still running has ended.
    stage.change("DROP TRIGGER trouble ON signal")

    assert stage.alert(body).status_code == 200
    assert stage.rows("SELECT count(*) AS n FROM signal") == [{"n": 1}]


def trouble(stage: Stage, table: str, what: str) -> None:
    """Let PostgreSQL execute *what* before each insert into *table*."""
    body = f"$$ BEGIN {what} RETURN NEW; END $$"
    stage.change(f"CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS {body}")
    stage.change(f"CREATE TRIGGER trouble BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION trouble()")
