"""Carry out the schedule on processes that the drill itself started, and count what was done."""

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

from pipeline.entrypoints.drill.exchange_admin import ExchangeAdmin
from pipeline.entrypoints.drill.processes import signal_process
from pipeline.entrypoints.drill.recovery import InterruptedWorker
from pipeline.entrypoints.drill.schedule import Act, DrillEvent, Target

log = structlog.get_logger(__name__)

#: Seconds that the drill waits for a worker that has an execution, since a kill or a freeze should interrupt one.
_BUSY_WITHIN_S = 0.6
#: Seconds after a kill in which PostgreSQL processes the last statements of the killed worker.
_SETTLE_S = 0.05
_TICK_S = 0.02
#: Seconds after the last event in which missed events are still tried again.
_MISSED_WITHIN_S = 10.0


class DrilledSystem(Protocol):
    """The system that a drill breaks."""

    @property
    def ledger(self) -> Path:
        """Return the file from which the producer reads the signals to send."""

    @property
    def executors(self) -> tuple[str, ...]:
        """Return the executors, whose names are their keys at the exchange."""

    def pids(self, target: Target) -> list[int]:
        """Return the ids of the running processes that *target* may mean."""

    def restart_ended(self) -> None:
        """Start ended processes again, if no supervisor restarts them."""

    def process_group(self, pid: int) -> list[int]:
        """Return the processes that must get a signal together with *pid*."""

    def is_busy(self, pid: int) -> bool:
        """Return whether the worker *pid* has an execution."""

    def held_by(self, pid: int) -> tuple[datetime, tuple[UUID, ...]]:
        """Return the database's time and the executions that the worker *pid* has."""

    def flush(self) -> bool:
        """Delete all data of the queues' server; return False when it is down."""

    def cut(self) -> bool:
        """End some sessions of the record; return False when there were none."""


@dataclass(kw_only=True)
class Breaker:
    """Carries out events. *tally* counts what was done, by the event's name."""

    drilled: DrilledSystem
    exchange: ExchangeAdmin
    seed: int
    tally: dict[str, int] = field(default_factory=dict)
    interrupted: list[InterruptedWorker] = field(default_factory=list)
    #: The time at which each frozen process continues (of the monotonic clock), by pid.
    _frozen: dict[int, float] = field(default_factory=dict)
    #: Whether the faults must be sent to the exchange again, because it was down or was killed.
    _faults_pending: bool = False
    #: The events whose process or server was down when they were due. They are tried again until it runs.
    _missed: list[DrillEvent] = field(default_factory=list)

    def play(self, events: Sequence[DrillEvent], *, begins: float, tick: Callable[[], None]) -> None:
        """Carry out *events*, whose times count from *begins* (of the monotonic clock)."""
        for event in events:
            while time.monotonic() < begins + event.at_s:
                self._pass_a_tick(tick)
            self.carry_out(event)
        deadline = time.monotonic() + _MISSED_WITHIN_S
        while self._missed and time.monotonic() < deadline:
            self._pass_a_tick(tick)

    def _pass_a_tick(self, tick: Callable[[], None]) -> None:
        self.maintain()
        tick()
        time.sleep(_TICK_S)

    def maintain(self) -> None:
        """Resume processes whose freeze is over, try missed events and faults again, and restart ended processes."""
        self.resume(until=time.monotonic())
        missed, self._missed = self._missed, []
        for event in missed:
            self.carry_out(event)
        if self._faults_pending and self.exchange.resend_faults():
            self._faults_pending = False
        self.drilled.restart_ended()

    def end_faults(self) -> None:
        """Remove all faults of the exchange, resume every frozen process and try no missed event again."""
        self._missed.clear()
        self._faults_pending = not self.exchange.set_faults([], seed=self.seed)
        self.resume()

    def resume(self, *, until: float = math.inf) -> None:
        """Resume the processes whose freeze ends at *until* (of the monotonic clock) or earlier."""
        for pid in [pid for pid, end in self._frozen.items() if end <= until]:
            del self._frozen[pid]
            signal_process(pid, signal.SIGCONT)

    def carry_out(self, event: DrillEvent) -> None:
        """Carry out one event, and count it unless it sets faults. If its target is down, keep it to try it again."""
        if event.act is Act.FAULTS:
            self._faults_pending = not self.exchange.set_faults(event.faults, seed=self.seed)
            return
        if self._done(event):
            self.tally[event.name] = self.tally.get(event.name, 0) + 1
            log.info("drill.broke", what=event.name, at_s=event.at_s)
        elif not event.measured:
            # A measured kill is not tried again later: it would then measure another window than its own.
            self._missed.append(event)

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
        pid = self._busy_worker(pids) if event.target is Target.WORKER else pids[0]
        return self._freeze(pid, event) if event.act is Act.FREEZE else self._kill(pid, event)

    def _freeze(self, pid: int, event: DrillEvent) -> bool:
        for member in self.drilled.process_group(pid):
            self._frozen[member] = time.monotonic() + event.seconds
        return self._signal(pid, signal.SIGSTOP)

    def _kill(self, pid: int, event: DrillEvent) -> bool:
        if event.target is Target.EXCHANGE:
            # When the exchange ends, it forgets its faults and how often they were applied.
            self.exchange.count_fault_hits()
            self._faults_pending = True
        self._frozen.pop(pid, None)
        killed = self._signal(pid, signal.SIGKILL)
        if killed and event.measured:
            time.sleep(_SETTLE_S)
            self._note_interrupted(pid)
        return killed

    def _signal(self, pid: int, number: signal.Signals) -> bool:
        reached = [signal_process(member, number) for member in self.drilled.process_group(pid)]
        return any(reached)

    def _busy_worker(self, pids: Sequence[int]) -> int:
        """Return a worker that is not frozen and has an execution; if none gets one in time, the first of *pids*."""
        deadline = time.monotonic() + _BUSY_WITHIN_S
        while time.monotonic() < deadline:
            for pid in pids:
                if pid not in self._frozen and self.drilled.is_busy(pid):
                    return pid
            time.sleep(_TICK_S)
        return pids[0]

    def _note_interrupted(self, pid: int) -> None:
        now, execution_ids = self.drilled.held_by(pid)
        if execution_ids:
            self.interrupted.append(InterruptedWorker(killed_at=now, execution_ids=execution_ids))
