"""Load the fixtures of the servers, and scale the time limits to this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.waiting import patience

pytest_plugins = ["tests.servers", "tests.dashboard_jobs", "tests.exchange_fixtures", "tests.core_fixtures"]


#: Variables that name the user's own folders, in which tests must neither read nor write.
_USERS_FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")
_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests empty folders in place of the user's."""
    config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="tradewire-user-"))
    for name in _USERS_FOLDERS:
        os.environ[name] = str(config.stash[_FOLDER] / name.lower())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove these folders."""
    shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scale the time limits of single tests, because they only have to end a test that hangs."""
    for item in items:
        if mark := item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(patience(mark.args[0])), append=False)
