"""A task of the keeper that never succeeds is late, and an alert names it; a server that is away raises none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from pipeline.model.errors import BrokerUnavailable, QueueUnavailable, RecordUnavailable
from tests.factories import until
from workers.keeper.periodic_task import PeriodicTask
from workers.keeper.task_watch import TaskWatch

LATER_S = 31.0


@pytest.fixture
def running() -> Iterator[Callable[..., PeriodicTask]]:
    """Return a function that starts a task, which runs until the test ends."""
    stop = threading.Event()
    started: list[PeriodicTask] = []

    def start(task: Callable[[], int | None], *, leads: Callable[[], bool] = lambda: True) -> PeriodicTask:
        started.append(PeriodicTask("stops argo", 0.01, task, stop=stop, leads=leads))
        started[-1].start()
        return started[-1]

    yield start
    stop.set()
    for each in started:
        each.join(5)


def failing(error: Exception) -> Callable[[], int]:
    def task() -> int:
        raise error

    return task


def subjects(monkeypatch: pytest.MonkeyPatch, task: PeriodicTask) -> list[str]:
    """Return the alerts that are found half a minute from now."""
    later = time.monotonic() + LATER_S
    monkeypatch.setattr("workers.keeper.task_watch.monotonic", lambda: later)
    unused = cast("Any", None)
    return [each.subject for each in TaskWatch(tasks=[task], runtimes={}).condition(unused, {}).raised]


def test_a_task_that_never_succeeded_is_late_since_it_began(running: Callable[..., PeriodicTask]) -> None:
    began = time.monotonic()
    task = running(failing(ZeroDivisionError()))
    until(lambda: task.failure is ZeroDivisionError)

    assert 20.0 < task.behind_s(began + 30.0) < 30.0


@pytest.mark.parametrize("error", [ZeroDivisionError(), RecordUnavailable()])
def test_a_task_that_fails_for_half_a_minute_is_an_alert(
    monkeypatch: pytest.MonkeyPatch, running: Callable[..., PeriodicTask], error: Exception
) -> None:
    task = running(failing(error))
    until(lambda: task.failure is type(error))

    (subject,) = subjects(monkeypatch, task)

    assert subject == f"the keeper's task `stops argo` does not succeed: it fails with {type(error).__name__}"


def test_a_task_that_does_not_end_is_an_alert(
    monkeypatch: pytest.MonkeyPatch, running: Callable[..., PeriodicTask]
) -> None:
    begun, end = threading.Event(), threading.Event()
    task = running(lambda: begun.set() or int(end.wait(20)))
    assert begun.wait(5)

    (subject,) = subjects(monkeypatch, task)
    end.set()

    assert subject.endswith(": it does not end")


@pytest.mark.parametrize("error", [QueueUnavailable(), BrokerUnavailable()])
def test_a_task_that_waits_for_a_server_that_is_away_is_no_alert(
    monkeypatch: pytest.MonkeyPatch, running: Callable[..., PeriodicTask], error: Exception
) -> None:
    task = running(failing(error))
    until(lambda: task.failure is type(error))

    assert subjects(monkeypatch, task) == []


def test_a_task_that_succeeds_again_has_no_failure(running: Callable[..., PeriodicTask]) -> None:
    runs: list[int] = []

    def task() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise QueueUnavailable

    repeated = running(task)
    until(lambda: len(runs) > 2)

    assert repeated.failure is None


def test_the_task_of_a_keeper_that_does_not_lead_is_not_late(running: Callable[..., PeriodicTask]) -> None:
    now_leads = threading.Event()
    task = running(failing(ZeroDivisionError()), leads=now_leads.is_set)
    time.sleep(0.1)
    before = time.monotonic()
    now_leads.set()
    until(lambda: task.failure is ZeroDivisionError)

    assert task.behind_s(before + 1.0) < 1.1
