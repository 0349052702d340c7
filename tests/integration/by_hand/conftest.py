"""A core whose servers the commands use, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories import Core


@pytest.fixture
def core(make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch) -> Core:
    """A core with the executor `argo`; AAPL and MSFT trade at 100."""
    core = make_core()
    core.prices(AAPL=100, MSFT=100)
    monkeypatch.setenv("DATABASE_URL", core.database_url)
    monkeypatch.setenv("TRADEWIRE_EXECUTORS", str(core.executors_path))
    monkeypatch.setenv("TRADEWIRE_EXCHANGE_URL", core.exchange.url)
    monkeypatch.setenv("TRADEWIRE_HOME", str(core.settings.home))
    return core
