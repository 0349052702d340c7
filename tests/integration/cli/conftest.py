"""Fixtures of the commands' tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories import Core
from tests.integration.cli.trading import MARKET


@pytest.fixture
def trading(make_core: Callable[..., Core]) -> Core:
    """A core whose orders are market orders; AAPL trades at 100, and MSFT at 50."""
    core = make_core(MARKET)
    core.prices(AAPL=100, MSFT=50)
    return core
