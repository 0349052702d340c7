"""Run waiting exits in a second thread of the worker, so that no exit waits behind entries of other symbols."""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from pipeline.model.backoff import Backoff
from pipeline.model.errors import Unavailable
from pipeline.model.signals import Action, Intent
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime
from workers.execution.claims import has_to_close
from workers.execution.lease import LeaseKeeper
from workers.execution.runner import runner_of

log = structlog.get_logger(__name__)

#: The lane takes an exit that no worker has taken for this long.
WAITED = timedelta(seconds=0.5)
_LOOK_EVERY_S = 0.25
_MOST = 200
# An exit that is listed again was held, or waits for an earlier execution of its symbol. It is tried with these pauses.
_BACKOFF = Backoff(first_s=0.5, longest_s=4.0)


@dataclass(frozen=True, kw_only=True)
class _WaitingExit:
    execution_id: UUID
    symbol: str
    action: Action
    intent: Intent
    source: str
    strategy: str | None
    #: Whether the signal can do nothing but close. Any other is an exit only while there is something to close.
    only_closes: bool
    #: The earlier execution of its symbol that has to be decided first, if it is due.
    behind: UUID | None


class ExitLane(threading.Thread):
    """Takes the exits of one executor from the record. Neither Redis nor earlier jobs delay them."""

    def __init__(self, runtime: ExecutorRuntime, *, leases: LeaseKeeper, worker: str, database_url: str) -> None:
        super().__init__(name="exits", daemon=True)
        # The lane must not wait for a connection that an entry of this worker holds.
        self._record = Record(database_url, connections=1, retry_for_s=None)
        self._runner = runner_of(runtime, record=self._record, leases=leases, worker=worker)
        self._executor = runtime.executor
        self._stop_asked = threading.Event()
        self._failures: dict[UUID, int] = {}
        self._again_at: dict[UUID, float] = {}

    def run(self) -> None:
        """Run waiting exits until closed."""
        while not self._stop_asked.wait(_LOOK_EVERY_S):
            try:
                self.run_once()
            except Unavailable as error:
                log.debug("exit_lane.waits", error=str(error))
            except Exception:
                # Without this thread, exits would wait behind entries again.
                log.exception("exit_lane.failed")

    def close(self) -> None:
        """End the lane. The current exit is finished first."""
        self._stop_asked.set()
        self._record.stopping.set()
        if self.is_alive():
            self.join()
        self._record.close()

    def run_once(self) -> None:
        """Run each exit that waits, the oldest first.

        Raises:
            RecordUnavailable: PostgreSQL is away. If an exit was begun, the keeper finds it when its lease ends.
        """
        waiting = self._waiting()
        ids = {each.execution_id for each in waiting}
        for gone in self._failures.keys() - ids:
            del self._failures[gone], self._again_at[gone]
        for each in waiting:
            if self._stop_asked.is_set():
                return
            if time.monotonic() >= self._again_at.get(each.execution_id, 0.0) and self._is_exit(each):
                if each.behind is not None:
                    self._runner.run_alone(each.behind)
                self._runner.run_alone(each.execution_id)
                self._postpone(each.execution_id)

    def _waiting(self) -> list[_WaitingExit]:
        values = {
            "executor_id": self._executor.id,
            "may_short": self._executor.order.allow_short,
            "waited": WAITED,
            "limit": _MOST,
        }
        return self._record.all(_WaitingExit, sql("executions", "waiting_exits"), values)

    def _is_exit(self, waiting: _WaitingExit) -> bool:
        """Return whether *waiting* is an exit, according to the record. Entries must not delay exits in this thread."""
        return waiting.only_closes or self._record.run(
            lambda connection: has_to_close(connection, self._executor, waiting)
        )

    def _postpone(self, execution_id: UUID) -> None:
        """Do not try an exit again for a while, in case it still waits. A decided exit is not listed again."""
        failures = self._failures[execution_id] = self._failures.get(execution_id, 0) + 1
        self._again_at[execution_id] = time.monotonic() + _BACKOFF.after(failures)
