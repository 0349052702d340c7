"""Start whole systems for acceptance tests as a user would, and stop them however a test ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.system import System
from tests.folders import server_home
from tests.waiting import patience


@pytest.fixture
def system() -> Iterator[Callable[..., System]]:
    """Make systems in folders of this test, and end their processes after it."""
    with server_home() as folder, _systems(folder) as make:
        yield make


@pytest.fixture(scope="module")
def shared_system() -> Iterator[Callable[..., System]]:
    """Make systems that the tests of a module share, and end their processes after the last one."""
    with server_home() as folder, _systems(folder) as make:
        yield make


@contextlib.contextmanager
def _systems(folder: Path) -> Iterator[Callable[..., System]]:
    made: list[System] = []

    def make(**options: str) -> System:
        one = System(folder / f"home{len(made)}", **options)
        made.append(one)
        return one

    yield make
    for one in made:
        if one.process is None or one.process.poll() is not None:
            continue
        left = one.children()
        with contextlib.suppress(Exception):
            one.stop()
        for process in [*left, psutil.Process(one.process.pid)] if one.process.poll() is None else left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        one.process.wait(timeout=patience(5))
