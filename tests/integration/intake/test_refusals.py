from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.logs import register_secret
from pipeline.intake.intake import Intake
from pipeline.intake.sources.file import FileSource
from pipeline.model.errors import InvalidSignal
from tests.command import app
from tests.factories import signal
from tests.integration.execution_states import Rows
from tests.web import LOAD

SECRET = "s3cr3t-v4lue"
OWN_TOKEN = "0wn-t0ken-of-the-process-in-test-refusals"


def refused(intake: Intake, raw: Any) -> None:
    with pytest.raises(InvalidSignal):
        intake.record(raw, source="webhook")


def test_what_is_no_signal_is_kept_with_its_reason(intake: Intake, rows: Rows) -> None:
    refused(intake, signal(confidence=0.98, source_id="77"))

    (row,) = rows("SELECT * FROM refusal")
    assert (row["source"], row["source_id"], row["code"]) == ("webhook", "77", "invalid_signal")
    assert row["message"].startswith("confidence: is a percentage")
    assert json.loads(row["payload"]) == signal(confidence=0.98, source_id="77")
    assert rows("SELECT signal_id FROM signal") == []


@pytest.mark.parametrize(
    "key", ["secret", "api_key", "apiKey", "X-API-KEY", "token", "Authorization", "passwd", "Password"]
)
def test_what_is_named_like_a_secret_is_masked_at_any_depth(intake: Intake, rows: Rows, key: str) -> None:
    refused(intake, signal(meta={"list": [{key: SECRET, "note": "kept"}]}))

    (row,) = rows("SELECT payload, message FROM refusal")
    assert SECRET not in str(row)
    assert json.loads(row["payload"])["meta"] == {"list": [{key: "***", "note": "kept"}]}


@pytest.mark.parametrize(
    "line",
    [
        f'{{"symbol": "AAPL", "api_key": "{SECRET}", "action": ',
        f"{{'token': '{SECRET}', 'symbol'",
        f"password={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f'{{"secret": "{SECRET}',
    ],
)
def test_secrets_in_a_line_that_is_no_json_are_masked_too(intake: Intake, rows: Rows, line: str) -> None:
    intake.refuse(line, source="file", code="invalid_json", message="not JSON")

    (row,) = rows("SELECT payload FROM refusal")
    assert SECRET not in row["payload"]
    assert "***" in row["payload"]


@pytest.mark.parametrize(
    "raw", [f"buy AAPL {OWN_TOKEN}", {"pass": OWN_TOKEN}, {"note": ["x" * 4060 + OWN_TOKEN]}, {OWN_TOKEN: 1}]
)
def test_a_secret_of_the_process_is_masked_wherever_it_is(intake: Intake, rows: Rows, raw: Any) -> None:
    register_secret(OWN_TOKEN)

    intake.refuse(raw, source="file", code="invalid_json", message=f"{OWN_TOKEN} is not a symbol")

    (row,) = rows("SELECT payload, message FROM refusal")
    assert row["message"] == "*** is not a symbol"
    # Not even the part before the cut.
    assert OWN_TOKEN[:8] not in row["payload"]


def test_a_line_without_secrets_is_kept_as_it_was(intake: Intake, rows: Rows) -> None:
    intake.refuse("not json", source="file", code="invalid_json", message="not JSON")

    assert rows("SELECT payload FROM refusal") == [{"payload": "not json"}]


@pytest.mark.parametrize(
    "raw",
    [
        signal(note="x" * 100_000),
        signal(source="s" * 10_000),
        signal(source_id="i" * 10_000),
        signal(source="\x00\ud800"),
        signal(source_id="\x00", note="\x00"),
        {"\x00\ud800": 1},
        signal(executors=["\ud800"]),
        signal(symbol="\x00"),
        [1, 2, 3],
        None,
        "not a mapping",
        {},
    ],
    ids=range(12),
)
def test_whatever_comes_is_kept_bounded(intake: Intake, rows: Rows, raw: Any) -> None:
    refused(intake, raw)

    (row,) = rows("SELECT * FROM refusal")
    assert len(row["payload"]) <= 4096
    assert len(row["message"]) <= 1000
    assert 1 <= len(row["source"]) <= 100


def test_what_is_nested_absurdly_deep_is_kept_to_its_depth(intake: Intake, rows: Rows) -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = {"in": deep}

    refused(intake, signal(deep=deep))

    (row,) = rows("SELECT payload FROM refusal")
    assert "bottom" not in row["payload"]
    assert json.loads(row["payload"])["symbol"] == "AAPL"


CUT_OFF = f'{{"symbol": "AAPL", "action": "close", "token": "{SECRET}",'


@pytest.mark.parametrize(("line", "is_exit"), [(CUT_OFF, True), (CUT_OFF.replace("close", "BUY"), False)])
def test_an_exit_in_a_line_of_a_file_that_is_no_json_is_noticed(
    intake: Intake, rows: Rows, tmp_path: Path, line: str, *, is_exit: bool
) -> None:
    path = tmp_path / "closes.jsonl"
    path.write_text(line)
    source = FileSource(str(path))
    items: list[Any] = []
    while not source.finished:
        items += source.poll(threading.Event())
    (item,) = items

    intake.refuse(item.raw, source="file", code=item.code, message=item.message)

    (row,) = rows("SELECT payload, reads_as_exit FROM refusal")
    assert row["reads_as_exit"] is is_exit
    assert SECRET not in row["payload"]
    assert "AAPL" in json.loads(row["payload"])["unreadable"]


@pytest.mark.parametrize(("line", "is_exit"), [(CUT_OFF, True), (CUT_OFF.replace("close", "BUY"), False)])
def test_an_exit_that_signal_send_cannot_read_is_noticed(
    database_url: str, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, *, is_exit: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"DATABASE_URL": database_url, "TRADEWIRE_EXECUTORS": str(LOAD)}

    sent = CliRunner().invoke(app, ["signal", "send", "-"], input=line, env=env)

    assert sent.exit_code == 1
    assert json.loads(sent.stdout)["error"]["code"] == "invalid_json"
    (row,) = rows("SELECT payload, reads_as_exit FROM refusal")
    assert row["reads_as_exit"] is is_exit
    assert SECRET not in row["payload"]
