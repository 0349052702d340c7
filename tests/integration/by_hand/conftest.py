"""A core whose servers the commands use, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.command import commands_use
from tests.factories import Core


@pytest.fixture
def core(make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch) -> Core:
    """A core with the executor `argo`; AAPL and MSFT trade at 100."""
    core = make_core()
    core.prices(AAPL=100, MSFT=100)
    commands_use(core, monkeypatch)
    return core
