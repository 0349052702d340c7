"""`up` waits, as every process does, while the user's own PostgreSQL is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor.migration import Gate, MigrationThread
from pipeline.model.backoff import Backoff
from pipeline.model.errors import RecordUnavailable
from tests.embedded_server import EmbeddedServer
from tests.factories import until


def test_a_server_that_is_away_is_reported_once_and_waited_for(
    servers_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.entrypoints.supervisor.migration._BACKOFF", Backoff(first_s=0.05, longest_s=0.05))
    reported: list[str] = []
    passed: list[str] = []
    with EmbeddedServer.postgres(servers_home / "late") as server:
        server.stop()
        thread = MigrationThread(server.url, gate_that_fails_once(passed), report=reported.append)
        until(lambda: reported)
        assert not thread.over.wait(1.0)
        server.start()
        until(thread.over.is_set)

    assert (thread.failure, thread.refusal) == (None, None)
    assert passed == [server.url] * 2
    assert len(reported) == 1
    assert reported[0].startswith("PostgreSQL cannot be reached: ")
    assert reported[0].endswith("; waiting for it")


def gate_that_fails_once(passed: list[str]) -> Gate:
    """Return a gate that finds PostgreSQL away the first time."""

    def gate(url: str) -> None:
        passed.append(url)
        if len(passed) == 1:
            raise RecordUnavailable("PostgreSQL cannot be reached: it went away again")

    return gate
