"""Do what the schedule says, to processes that the drill itself started, and count what was done."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

import structlog

from pipeline.entrypoints.drill.processes import signal_process
from pipeline.entrypoints.drill.recovery import Interrupted
from pipeline.entrypoints.drill.schedule import Act, DrillEvent, Target
from pipeline.entrypoints.drill.venue import DrilledExchange

log = structlog.get_logger(__name__)

#: A worker is struck in the middle of its work: for so long it may take to get some.
_CATCH_WITHIN_S = 0.6
#: What the killed worker had sent to PostgreSQL is through by then.
_SETTLE_S = 0.05
_TICK_S = 0.02


class Drilled(Protocol):
    """The system that a drill breaks."""

    @property
    def ledger(self) -> Path:
        """Return the file from which the producer reads the signals to send."""

    @property
    def executors(self) -> tuple[str, ...]:
        """Return the executors, whose names are their keys at the exchange."""

    def pids(self, target: Target) -> list[int]:
        """Return the processes that *target* may mean now."""

    def look_after(self) -> None:
        """Start again what nobody else does."""

    def parts(self, pid: int) -> list[int]:
        """Return all processes that what goes by *pid* consists of; they are struck together."""

    def busy(self, pid: int) -> bool:
        """Say whether a worker is in the middle of its work."""

    def held_by(self, pid: int) -> tuple[datetime, tuple[UUID, ...]]:
        """Return the time, by the clock of the record, and the executions that a worker holds."""

    def flush(self) -> bool:
        """Empty the queues' server; False when it is down."""

    def cut(self) -> bool:
        """Cut some sessions of the record; False when there is no record."""


@dataclass(kw_only=True)
class Breaker:
    """Carries out events. *tally* counts what was done, by name."""

    drilled: Drilled
    exchange: DrilledExchange
    seed: int
    tally: dict[str, int] = field(default_factory=dict)
    interrupted: list[Interrupted] = field(default_factory=list)
    _frozen: dict[int, float] = field(default_factory=dict)
    _owes_faults: bool = False

    def play(self, events: Sequence[DrillEvent], *, begins: float, tick: Callable[[], None]) -> None:
        """Carry out *events*, whose times count from *begins* (of the monotonic clock)."""
        for event in events:
            while time.monotonic() < begins + event.at_s:
                self.tend()
                tick()
                time.sleep(_TICK_S)
            self.do(event)

    def tend(self) -> None:
        """Let go on whose time in the ice is over; remind an exchange that came back; start what is gone."""
        self.thaw(until=time.monotonic())
        if self._owes_faults and self.exchange.remind():
            self._owes_faults = False
        self.drilled.look_after()

    def heal(self) -> None:
        """Let the exchange be honest and quick, and everybody awake."""
        self._owes_faults = not self.exchange.set_faults([], seed=self.seed)
        self.thaw()

    def thaw(self, *, until: float = math.inf) -> None:
        """Let go on what is frozen for no longer than *until* (of the monotonic clock)."""
        for pid in [pid for pid, end in self._frozen.items() if end <= until]:
            del self._frozen[pid]
            signal_process(pid, signal.SIGCONT)

    def do(self, event: DrillEvent) -> None:
        """Carry out one event; one that finds nothing to hit is not counted."""
        if event.act is Act.FAULTS:
            self._owes_faults = not self.exchange.set_faults(event.faults, seed=self.seed)
            return
        if self._done(event):
            self.tally[event.name] = self.tally.get(event.name, 0) + 1
            log.info("drill.broke", what=event.name, at_s=event.at_s)

    def _done(self, event: DrillEvent) -> bool:
        if event.act is Act.FLUSH:
            return self.drilled.flush()
        if event.act is Act.CUT:
            return self.drilled.cut()
        pids = self.drilled.pids(event.target)
        if not pids:
            return False
        turn = event.pick % len(pids)
        pids = pids[turn:] + pids[:turn]
        pid = self._busy(pids) if event.target is Target.WORKER else pids[0]
        return self._freeze(pid, event) if event.act is Act.FREEZE else self._kill(pid, event)

    def _freeze(self, pid: int, event: DrillEvent) -> bool:
        for part in self.drilled.parts(pid):
            self._frozen[part] = time.monotonic() + event.seconds
        return self._strike(pid, signal.SIGSTOP)

    def _kill(self, pid: int, event: DrillEvent) -> bool:
        if event.target is Target.EXCHANGE:
            self.exchange.note_strikes()
            self._owes_faults = True
        self._frozen.pop(pid, None)
        killed = self._strike(pid, signal.SIGKILL)
        if killed and event.measured:
            time.sleep(_SETTLE_S)
            self._note(pid)
        return killed

    def _strike(self, pid: int, number: signal.Signals) -> bool:
        reached = [signal_process(part, number) for part in self.drilled.parts(pid)]
        return any(reached)

    def _busy(self, pids: Sequence[int]) -> int:
        """Return the first worker that holds an execution; it is struck in the middle of it. Else the first."""
        deadline = time.monotonic() + _CATCH_WITHIN_S
        while time.monotonic() < deadline:
            for pid in pids:
                if pid not in self._frozen and self.drilled.busy(pid):
                    return pid
            time.sleep(_TICK_S)
        return pids[0]

    def _note(self, pid: int) -> None:
        now, execution_ids = self.drilled.held_by(pid)
        if execution_ids:
            self.interrupted.append(Interrupted(killed_at=now, execution_ids=execution_ids))
