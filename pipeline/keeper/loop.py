"""The keeper process: leads by a leased row and runs its rounds, each at its own pace, until it is stopped."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog

from config.executors import ExecutorSettings
from config.settings import Settings
from pipeline.dead_letters import DeadLetters
from pipeline.errors import NotPossible, QueueUnavailable, RecordUnavailable, Unavailable
from pipeline.heartbeats import Heartbeat
from pipeline.keeper.follow import Follower
from pipeline.keeper.mirror import Mirror
from pipeline.keeper.sweep import Sweep
from pipeline.keeper.unknown import Unknowns
from pipeline.queues import Bell, check_server, connect
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.engine import open_desks

log = structlog.get_logger(__name__)

_LEASE = timedelta(seconds=3)
_LEAD_EVERY_S = 1.0
_SWEEP_EVERY_S = 0.25
_UNKNOWN_EVERY_S = 0.25
_FOLLOW_EVERY_S = 2.0
_MIRROR_EVERY_S = 2.0
_LOOKUPS_AT_ONCE = 8
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0


class Leadership:
    """Whether this keeper leads. Two leaders for a moment are harmless: every move is a compare-and-set."""

    def __init__(self, record: Record, role: str) -> None:
        self._record = record
        self._key = {"role": role, "holder": uuid4(), "lease": _LEASE}
        self._until = 0.0

    def renew(self) -> int:
        """Ask for the lease; 1 when it is ours.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        asked_at = time.monotonic()
        led = self.leads()
        row = self._record.run(lambda connection: connection.execute(sql("keeper", "lead"), self._key).fetchone())
        self._until = asked_at + _LEASE.total_seconds() if row else 0.0
        if self.leads() != led:
            log.info("keeper.leads" if row else "keeper.stands_by")
        return int(row is not None)

    def leads(self) -> bool:
        """Say whether the lease is surely ours."""
        return time.monotonic() < self._until

    def resign(self) -> None:
        """Let another lead at once."""
        self._record.run(lambda connection: connection.execute(sql("keeper", "resign"), self._key), patience_s=0.5)


class Round(threading.Thread):
    """Runs one task again and again at its pace; what is away is waited out, and said by whoever asked it."""

    def __init__(
        self,
        name: str,
        every_s: float,
        task: Callable[[], int],
        *,
        stop: threading.Event,
        leads: Callable[[], bool],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._every_s = every_s
        self._task = task
        self._stop_asked = stop
        self._leads = leads
        self.last_good_at: float | None = None

    def run(self) -> None:
        """Run until stopped. A task that moved something runs again at once."""
        pause = _FIRST_PAUSE_S
        while not self._stop_asked.is_set():
            moved = 0
            if self._leads():
                try:
                    moved = self._task()
                except (Unavailable, NotPossible) as error:
                    log.debug("keeper.waits", task=self.name, error=str(error))
                    self._stop_asked.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 -- not a secret
                    pause = min(pause * 2, _LONGEST_PAUSE_S)
                    continue
                except Exception:
                    log.exception("keeper.task_failed", task=self.name)
                    self._stop_asked.wait(_LONGEST_PAUSE_S)
                    continue
                self.last_good_at = time.monotonic()
                pause = _FIRST_PAUSE_S
            self._stop_asked.wait(0.0 if moved else self._every_s)


def keep(
    executors: Mapping[str, ExecutorSettings],
    *,
    settings: Settings,
    database_url: str,
    redis_url: str,
    exchange_url: str | None,
    stop: threading.Event,
) -> None:
    """Look after everything until *stop*.

    Raises:
        ConfigInvalid: an executor has no address or key.
        NotPossible: PostgreSQL or Redis is of a kind that cannot be used.
    """
    who = f"keeper-{socket.gethostname()}-{os.getpid()}"
    record = Record(database_url, connections=8 + 2 * len(executors), patience_s=1.0)
    desks = open_desks(executors, settings=settings, exchange_url=exchange_url, record=record)
    bell = Bell(connect(redis_url))
    _refuse_wrong_servers(record, bell)
    leadership = Leadership(record, "keeper")
    pool = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="look-up")
    names = tuple(executors)
    letters = DeadLetters(record)

    def a_round(name: str, every_s: float, task: Callable[[], int]) -> Round:
        return Round(name, every_s, task, stop=stop, leads=leadership.leads)

    rounds = [
        Round("lead", _LEAD_EVERY_S, lambda: 0 * leadership.renew(), stop=stop, leads=lambda: True),
        a_round("sweep", _SWEEP_EVERY_S, Sweep(record=record, bell=bell, executor_ids=names, who=who).run_once),
        a_round(
            "unknown",
            _UNKNOWN_EVERY_S,
            Unknowns(record=record, bell=bell, desks=desks, pool=pool, who=who).run_once,
        ),
        a_round(
            "mirror",
            _MIRROR_EVERY_S,
            lambda: 0 * Mirror(letters=letters, bell=bell, executor_ids=names).run_once(),
        ),
        *(
            a_round(
                f"follow {desk.executor.id}",
                _FOLLOW_EVERY_S,
                _paced(Follower(record=record, desk=desk, who=who)),
            )
            for desk in desks.values()
        ),
    ]
    heartbeat = Heartbeat(database_url, kind="keeper", name="keeper", health=lambda: _health(rounds, leadership))
    for thread in rounds:
        thread.start()
    log.info("keeper.started", executors=list(names))
    stop.wait()
    _close(record, leadership, pool, heartbeat, rounds)
    for desk in desks.values():
        desk.close()


def _refuse_wrong_servers(record: Record, bell: Bell) -> None:
    """Look once; what is only away is waited for later."""
    with suppress(RecordUnavailable):
        record.run(lambda _: None, patience_s=0.0)
    with suppress(QueueUnavailable):
        check_server(bell.connection)


def _paced(follower: Follower) -> Callable[[], int]:
    # A poll that moved something has no more to say at once: the broker's rate is not ours to burn.
    return lambda: 0 * follower.run_once()


def _health(rounds: list[Round], leadership: Leadership) -> tuple[bool, dict[str, Any]]:
    """Unwell when a round of the leader has not come to its end for long."""
    now = time.monotonic()
    late = {
        thread.name: round(now - thread.last_good_at, 1)
        for thread in rounds
        if thread.last_good_at is not None and now - thread.last_good_at > 15  # noqa: PLR2004 -- several paces
    }
    return not (late and leadership.leads()), {"leads": leadership.leads(), "late": late}


def _close(
    record: Record,
    leadership: Leadership,
    pool: ThreadPoolExecutor,
    heartbeat: Heartbeat,
    rounds: list[Round],
) -> None:
    try:
        leadership.resign()
    except Unavailable:
        log.debug("keeper.resigned_by_lease")
    record.stopping.set()
    for thread in rounds:
        thread.join(timeout=1.0)
    pool.shutdown(wait=False, cancel_futures=True)
    heartbeat.close()
    record.close()
    log.info("keeper.stopped")
