from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.entrypoints.supervisor.child import RESTART_BACKOFF, Child
from pipeline.entrypoints.supervisor.process_table import ProcessLine
from pipeline.entrypoints.supervisor.servers.spawn import Lifeline
from tests.waiting import patience

_DIES_TWICE = """
import pathlib, sys, time
lives = pathlib.Path(sys.argv[1])
lives.open("a").write("x")
if lives.stat().st_size < 3:
    sys.exit("out of luck")
time.sleep(60)
"""


def _tick_until(child: Child, met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + patience(15)
    while not met():
        assert time.monotonic() < deadline
        child.tick(os.environ)
        time.sleep(0.02)


def test_that_a_child_runs_normally_again_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The test uses a shorter time than the ten seconds of the product.
    monkeypatch.setattr("pipeline.entrypoints.supervisor.child.WELL_AFTER_S", 0.5)
    reported: list[str] = []
    command = (sys.executable, "-c", _DIES_TWICE, str(tmp_path / "lives"))
    line = ProcessLine(name="argo", group="argo", command=command)
    child = Child(line, lifeline=Lifeline.make(), log_folder=tmp_path, report=reported.append)
    try:
        _tick_until(child, lambda: "argo runs normally again" in reported)
        _tick_until(child, lambda: child.deaths == 0)
    finally:
        child.kill()

    assert [words.split("; ")[0] for words in reported] == [
        "argo ended (exit 1) and is started again",
        "argo runs normally again",
    ]


def test_a_child_that_crashes_again_and_again_does_not_run_normally_though_it_lives_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.entrypoints.supervisor.child.WELL_AFTER_S", 0.2)
    reported: list[str] = []
    command = (sys.executable, "-c", "import time; time.sleep(0.5)")
    child = Child(
        ProcessLine(name="argo", group="argo", command=command),
        lifeline=Lifeline.make(),
        log_folder=tmp_path,
        report=reported.append,
    )
    try:
        _tick_until(child, lambda: child.crashing)
        until_now = len(reported)
        _tick_until(child, lambda: len(reported) > until_now and child.runs)
    finally:
        child.kill()

    assert not any("normally" in line for line in reported[until_now:])


def test_the_pause_doubles_with_each_death_up_to_five_seconds() -> None:
    assert [RESTART_BACKOFF.after(deaths) for deaths in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_program_that_does_not_exist_is_reported_once_and_tried_again(tmp_path: Path) -> None:
    reported: list[str] = []
    line = ProcessLine(name="argo", group="argo", command=(str(tmp_path / "missing"),))
    child = Child(line, lifeline=Lifeline.make(), log_folder=tmp_path, report=reported.append)

    _tick_until(child, lambda: child.deaths == 2)

    assert len(reported) == 1
    assert "argo could not be started (No such file or directory)" in reported[0]
