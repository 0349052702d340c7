"""Notice that the market opens, and let go what was held for it: exits first, then by confidence, then by age."""

from __future__ import annotations

import time
from datetime import datetime

import structlog

from pipeline.model.account import ClockReading
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime

log = structlog.get_logger(__name__)

#: While something waits for the open the broker's clock is read this often, and at the time that it gave for the open.
CLOCK_EVERY_S = 3.0
# A clock that is late, or cannot be read, is asked again after this.
_LATE_S = 1.0


class MarketOpen:
    """Watches the clock of one executor's broker while something is held for the open. Running it twice is harmless."""

    def __init__(self, record: Record, runtime: ExecutorRuntime) -> None:
        self._record = record
        self._runtime = runtime
        self._key = {"executor_id": runtime.executor.id}
        self._again_at = 0.0

    def run_once(self) -> int:
        """Read the clock if it is time, and return how many executions go since the market is open.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        if time.monotonic() < self._again_at or not self._waiting():
            return 0
        try:
            if self._runtime.snapshots.refusal() is not None:
                self._again_at = time.monotonic() + CLOCK_EVERY_S
                return 0
            reading = self._runtime.snapshots.read_clock()
        except BrokerRefusesAccount as error:
            self._runtime.snapshots.refused(str(error))
            return 0
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("clock.failed", executor_id=self._runtime.executor.id, error=str(error))
            self._again_at = time.monotonic() + _LATE_S
            return 0
        self._again_at = time.monotonic() + _pause_s(reading)
        return self._release(reading.clock.timestamp) if reading.clock.is_open else 0

    def _waiting(self) -> bool:
        row = self._record.run(
            lambda connection: connection.execute(sql("calendar", "waits_for_open"), self._key).fetchone()
        )
        return row is not None and row["waits"]

    def _release(self, opened_at: datetime) -> int:
        rows = self._record.run(lambda connection: connection.execute(sql("calendar", "release"), self._key).fetchall())
        if rows:
            log.info(
                "market.opened", executor_id=self._runtime.executor.id, at=opened_at.isoformat(), released=len(rows)
            )
        return len(rows)


def _pause_s(reading: ClockReading) -> float:
    """Return when to read the clock next: at the open that it told of, if that is soon."""
    until_open = (reading.clock.next_open - reading.clock.timestamp).total_seconds()
    return min(CLOCK_EVERY_S, until_open if until_open > 0 else _LATE_S)
