"""Texts that PostgreSQL cannot store: bytes of a terminal that are not UTF-8, and NUL."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from config.schema.settings import Settings
from pipeline.store.record import Record
from tests.command import app, commands_use
from tests.factories import Core, executor_toml, until
from tests.integration.execution_states import Rows
from workers.flatten.command import flatten_directly
from workers.flatten.journal_import import import_journals

# `zu viel Geräusch` as a terminal in Latin-1 sends it, in Python's form.
LATIN_1 = "zu viel Ger\udce4usch"
STORED = "zu viel Ger?usch"


@pytest.fixture
def core(make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch) -> Core:
    """A core that the commands use too."""
    core = make_core(executor_toml("argo"))
    core.prices(AAPL=100)
    commands_use(core, monkeypatch)
    return core


def said(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


@pytest.mark.parametrize("text", ["\udce4", "a\x00b"])
def test_a_text_that_cannot_be_stored_is_changed_and_fails_no_statement(record: Record, rows: Rows, text: str) -> None:
    values = {"text": text}
    kept = text.replace("\x00", "\ufffd").encode(errors="replace").decode()

    assert record.one(str, "SELECT %(text)s::text AS text", values) == kept
    assert record.all(str, "SELECT %(text)s::text AS text", values) == [kept]
    assert record.do("UPDATE event_feed SET problem = %(text)s", values) == 1
    assert rows("SELECT problem FROM event_feed") == [{"problem": kept}]


@pytest.mark.parametrize("command", ["pause", "reduce", "halt", "resume"])
def test_an_account_is_stopped_whatever_bytes_the_terminal_sends(core: Core, command: str) -> None:
    said(command, "argo", "--why", LATIN_1, "--by", LATIN_1)

    moved = core.rows("SELECT why, moved_by FROM switch_history")
    assert moved == ([] if command == "resume" else [{"why": STORED, "moved_by": STORED}])


@pytest.mark.parametrize("command", ["orders list", "trades", "pnl", "dead list", "executions"])
def test_a_name_in_other_bytes_is_one_that_does_not_exist(core: Core, command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--executor", "\udce4"])

    assert "is not in" in str(result.exception), result.output


@pytest.mark.parametrize("away", [False, True])
def test_a_direct_flatten_closes_everything_whatever_bytes_the_terminal_sends(core: Core, *, away: bool) -> None:
    entry = core.send("AAPL")
    core.run(entry)
    until(lambda: core.follower().run_once() or core.state(entry) == "filled")
    url = SecretStr("postgresql://nobody@127.0.0.1:1/nothing" if away else core.database_url)
    settings = Settings(
        executors=core.executors_path, exchange_url=core.exchange.url, home=core.settings.home, database_url=url
    )

    ended = flatten_directly(core.executors["argo"], settings, by=LATIN_1, why=LATIN_1, wait_s=30.0, say=lambda _: None)

    assert ended.flat
    assert import_journals(core.record, core.settings.home, by="keeper") == (1 if away else 0)
    assert core.rows("SELECT set_by, why FROM switch") == [{"set_by": STORED, "why": STORED}]
