"""Give every test the servers that it uses, and the time that it needs on this machine."""

from __future__ import annotations

import pytest

from tests.waiting import patience

pytest_plugins = ["tests.servers", "tests.dashboard_jobs", "tests.exchange_fixtures", "tests.core_fixtures"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scale the time limits of single tests; they only end a test that hangs."""
    for item in items:
        if mark := item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(patience(mark.args[0])), append=False)
