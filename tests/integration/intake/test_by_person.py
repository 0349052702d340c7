"""The way in which a signal arrives shows whether a person sent it. No field of the signal can claim that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.operations.tokens import Scope, make_token
from pipeline.store.record import Record
from tests.core_fixtures import Processes
from tests.factories import Core, json_line, signal
from tests.integration.execution_states import Rows
from tests.web import BEARER, serving, web_context


@pytest.mark.parametrize("path", ["/api/v1/signals", "/api/v1/trading/execute?timeout=0"])
@pytest.mark.parametrize(
    ("scopes", "sender"),
    [([Scope.SIGNAL], "a program"), ([Scope.SIGNAL, Scope.OPERATE], "a person"), ([], "a person")],
)
def test_over_http_a_tokens_scope_shows_a_person(
    record: Record, redis_url: str, rows: Rows, path: str, scopes: Sequence[Scope], sender: str
) -> None:
    # In this test, an empty list of scopes stands for the main token.
    token = {"Authorization": f"Bearer {make_token(record, 'desk', scopes, by='test')}"} if scopes else BEARER
    with serving(web_context(record, redis_url)) as client:
        answer = client.post(path, json=signal() | {"source": "manual"}, headers=token)

    assert answer.status_code in (201, 202)
    assert rows("SELECT by_person FROM signal") == [{"by_person": sender == "a person"}]


def test_the_command_is_a_persons_unless_a_program_names_itself(core: Core, processes: Processes) -> None:
    lines = [signal("AAPL"), signal("MSFT", source="manual"), signal("TSLA", source="momentum")]

    sent = processes.start(core, "signal", "send", "-", stdin="".join(map(json_line, lines)))

    assert sent.wait(30) == 0, processes.said(sent)
    found = core.rows("SELECT symbol, by_person FROM signal ORDER BY symbol")
    assert [(row["symbol"], row["by_person"]) for row in found] == [("AAPL", True), ("MSFT", True), ("TSLA", False)]


def test_a_source_that_calls_itself_a_person_is_none(core: Core) -> None:
    core.send("AAPL", source="manual")

    assert core.rows("SELECT by_person FROM signal") == [{"by_person": False}]
