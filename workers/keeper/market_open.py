"""Release the executions that are held until the market opens: exits first, then by confidence, then by age."""

import time
from datetime import datetime

import structlog

from pipeline.model.account import ClockReading
from pipeline.model.errors import BrokerRefusesAccount, BrokerUnavailable, BrokerUnreadable
from pipeline.store.record import Record
from pipeline.store.statements import sql
from workers.account.runtime import ExecutorRuntime

log = structlog.get_logger(__name__)

#: While an execution waits for the market to open, the broker's clock is read this often, and at the announced opening.
CLOCK_EVERY_S = 3.0
# The pause after a reading that failed, or that still shows a closed market after the announced opening.
_RETRY_S = 1.0


class MarketOpen:
    """Reads one broker's clock while an execution is held until the market opens. Running it twice is harmless."""

    def __init__(self, record: Record, runtime: ExecutorRuntime) -> None:
        self._record = record
        self._runtime = runtime
        self._key = {"executor_id": runtime.executor.id}
        self._next_at = 0.0

    def run_once(self) -> int:
        """Read the clock if it is due, and return how many executions were released because the market is open."""
        if time.monotonic() < self._next_at or not self._executions_wait():
            return 0
        reading = self._read_clock()
        return self._release(reading.clock.timestamp) if reading is not None and reading.clock.is_open else 0

    def _executions_wait(self) -> bool:
        return self._record.one(bool, sql("calendar", "waits_for_open"), self._key)

    def _read_clock(self) -> ClockReading | None:
        snapshots = self._runtime.snapshots
        try:
            if snapshots.refusal() is not None:
                self._next_at = time.monotonic() + CLOCK_EVERY_S
                return None
            reading = snapshots.read_clock()
        except BrokerRefusesAccount as error:
            snapshots.refused(str(error))
            return None
        except (BrokerUnavailable, BrokerUnreadable) as error:
            log.debug("clock.failed", executor_id=self._runtime.executor.id, error=str(error))
            self._next_at = time.monotonic() + _RETRY_S
            return None
        self._next_at = time.monotonic() + _pause_s(reading)
        return reading

    def _release(self, opened_at: datetime) -> int:
        released = self._record.do(sql("calendar", "release"), self._key)
        if released:
            log.info(
                "market.opened", executor_id=self._runtime.executor.id, at=opened_at.isoformat(), released=released
            )
        return released


def _pause_s(reading: ClockReading) -> float:
    """Return the pause before the next reading: until the announced opening, if that is soon."""
    until_open = (reading.clock.next_open - reading.clock.timestamp).total_seconds()
    return min(CLOCK_EVERY_S, until_open if until_open > 0 else _RETRY_S)
