"""The `tradewire` command with all subcommands, for tests that run it in their own process."""

import pytest

from pipeline.entrypoints.cli.commands import build
from tests.factories import Core

app = build()


def commands_use(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands of this process use the servers, the executors and the home of *core*."""
    monkeypatch.setenv("DATABASE_URL", core.database_url)
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(core.executors_path))
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", core.exchange.url)
    monkeypatch.setenv("TRADEWIRE_HOME", str(core.settings.home))
