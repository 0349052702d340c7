"""The stage of the model: threads that stop at named points, and go on or die there as the model says."""

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

#: The point of a thread that has come to its end.
END = "end"
#: Where the broker has been called, and nothing has arrived there yet.
ON_THE_WIRE = "broker.submit"
#: Where the broker has told the position, and nothing has been made of it yet.
AFTER_READ = "broker.position"

# Not the check: its point is inside a transaction, where to die is to have done nothing.
_STAGED = (
    workers.execution.runner,
    workers.execution.cancels,
    workers.keeper.dispatch,
    workers.keeper.order_lookup,
    workers.keeper.order_polling,
)
_here = threading.local()


class Killed(BaseException):
    """The process dies at this point: nothing of ours may catch it."""


class ModelClock:
    """The model's time in seconds: the real one, and every jump that the model made."""

    def __init__(self) -> None:
        self._jumped = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._jumped

    def jump(self, seconds: float) -> None:
        self._jumped += seconds


class Actor:
    """One run of real code in a thread of its own, which stands still at every point until it is let go on."""

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
        """Go on through all points to *until*, or to the end."""
        while not self.over:
            self.word = word
            self._go.release()
            self._wait()
            if self.point == until:
                return

    def kill(self) -> None:
        """Die where it stands."""
        if not self.over:
            self._killed = True
            self._go.release()
            self._wait()

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=30), f"{self.name} hangs after {self.point}"
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
        """Stand still at *point*; the model's word comes back."""
        self.point = point
        self._stands.release()
        self._go.acquire()
        if self._killed:
            raise Killed
        return self.word


def stop(point: str) -> str:
    """Stop the thread that plays on the stage; any other passes with the default word."""
    actor: Actor | None = getattr(_here, "actor", None)
    return "accept" if actor is None else actor.stand(point)


def set_stage(patch: pytest.MonkeyPatch, clock: ModelClock) -> None:
    """Let every `reached` stop, and the lease count in the model's time; leases are renewed by the model alone."""
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
