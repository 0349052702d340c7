"""Load the fixtures of the servers, and scale the time limits to this machine."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from config import logs
from tests.waiting import patience

pytest_plugins = ["tests.servers", "tests.dashboard_jobs", "tests.exchange_fixtures", "tests.core_fixtures"]


# By default, hypothesis fails a test whose example takes 0.2 s, or whose examples are made slowly. On a busy machine,
# that would be no fault of the code.
hypothesis.settings.register_profile(
    "no_time_limits",
    hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("no_time_limits")

#: Variables that name the user's own folders, in which tests must neither read nor write.
_USERS_FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")
_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests empty folders in place of the user's."""
    config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="tradewire-user-"))
    for name in _USERS_FOLDERS:
        os.environ[name] = str(config.stash[_FOLDER] / name.lower())
    # Our processes do not look for modules in the working folder, and must run the code under test.
    os.environ["PYTHONPATH"] = str(config.rootpath)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folders that `pytest_configure` made."""
    shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Scale the time limits of single tests: a limit may be long, because it only has to end a test that hangs."""
    for item in items:
        if mark := item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(patience(mark.args[0])), append=False)


@pytest.fixture(autouse=True)
def _logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo how a command of this test set up logging, because its stream is closed when the test ends."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_secrets", set())
    _print_plain_tracebacks()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def _print_plain_tracebacks() -> None:
    """Print tracebacks as Python does. structlog's own form takes a tenth of a second for each."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
