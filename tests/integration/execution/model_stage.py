"""Threads of the model that stop at named points; the model then lets them continue or kills them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import workers.execution.cancels
import workers.execution.lease
import workers.execution.runner
import workers.keeper.dispatch
import workers.keeper.order_lookup
import workers.keeper.order_polling
import workers.keeper.poll_interval
from tests.waiting import patience

#: The point of a thread that has ended.
END = "end"
#: The point at which the worker has called the broker and the request has not arrived yet.
ON_THE_WIRE = "broker.submit"
#: The point at which the broker has returned the position and the caller has not used it yet.
AFTER_READ = "broker.position"

# The module of the check is left out: its point is inside a transaction, and a crash there changes nothing.
_STAGED = (
    workers.execution.runner,
    workers.execution.cancels,
    workers.keeper.dispatch,
    workers.keeper.order_lookup,
    workers.keeper.order_polling,
)
_here = threading.local()


class Killed(BaseException):
    """The process dies at this point. A BaseException, so that our code does not catch it."""


class ModelClock:
    """The model's time in seconds: the real time plus all jumps of the model."""

    def __init__(self) -> None:
        self._jumped = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._jumped

    def jump(self, seconds: float) -> None:
        self._jumped += seconds


class Actor:
    """Runs real code in a thread that waits at every named point until the model continues or kills it."""

    def __init__(self, name: str, task: Callable[[], object]) -> None:
        self.name = name
        self.point = "start"
        #: The broker's behaviour for the next request.
        self.word = "accept"
        self.failure: Exception | None = None
        self._task = task
        self._killed = False
        self._go = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._play, name=name, daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return self.point == END

    def go_on(self, *, until: str = END, word: str = "accept") -> None:
        """Continue through all points up to *until*, or to the end."""
        while not self.over:
            self.word = word
            self._go.release()
            self._wait()
            if self.point == until:
                return

    def kill(self) -> None:
        """Kill the thread at the point where it waits."""
        if not self.over:
            self._killed = True
            self._go.release()
            self._wait()

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=patience(30)), f"{self.name} hangs after {self.point}"
        if self.failure is not None:
            raise self.failure

    def _play(self) -> None:
        _here.actor = self
        self._go.acquire()
        try:
            if not self._killed:
                self._task()
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 -- raised again where the model waits
            self.failure = error
        self.point = END
        self._stands.release()

    def stand(self, point: str) -> str:
        """Wait at *point*, and return the outcome that the model chose."""
        self.point = point
        self._stands.release()
        self._go.acquire()
        if self._killed:
            raise Killed
        return self.word


def stop(point: str) -> str:
    """Let a thread of the model wait at *point*; any other thread continues with the default outcome."""
    actor: Actor | None = getattr(_here, "actor", None)
    return "accept" if actor is None else actor.stand(point)


def set_stage(patch: pytest.MonkeyPatch, clock: ModelClock) -> None:
    """Make every call of `reached` wait, and measure leases by the model's clock; only the model renews leases."""
    for module in _STAGED:
        _replace(patch, module, "reached", stop)
    for module in (
        workers.execution.runner,
        workers.execution.lease,
        workers.keeper.dispatch,
        workers.keeper.poll_interval,
    ):
        _replace(patch, module, "time", SimpleNamespace(monotonic=clock.monotonic))
    _replace(patch, workers.execution.lease, "RENEW_EVERY_S", 1e6)


def _replace(patch: pytest.MonkeyPatch, module: ModuleType, name: str, value: Any) -> None:
    patch.setattr(module, name, value)
