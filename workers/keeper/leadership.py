"""Elect the leading process of a role, such as keeper, by a leased row. Another takes over when the lease runs out."""

import time
from datetime import timedelta
from uuid import uuid4

import structlog

from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

_LEASE = timedelta(seconds=3)


class Leadership:
    """One process's claim to lead. Two leaders for a moment do no harm: every state change is a compare-and-set."""

    def __init__(self, record: Record, role: str) -> None:
        self._record = record
        self._key = {"role": role, "holder": uuid4(), "lease": _LEASE}
        self._until = 0.0

    def renew(self) -> int:
        """Take or renew the lease; return 1 when this process has it, else 0."""
        asked_at = time.monotonic()
        led = self.leads()
        renewed = self._record.do(sql("keeper", "lead"), self._key)
        self._until = asked_at + _LEASE.total_seconds() if renewed else 0.0
        if self.leads() != led:
            self._log_change(leads=bool(renewed))
        return renewed

    def _log_change(self, *, leads: bool) -> None:
        if self._key["role"] == "tracker":
            log.info("tracker.leads" if leads else "tracker.stands_by")
        else:
            log.info("keeper.leads" if leads else "keeper.stands_by")

    def leads(self) -> bool:
        """Return whether this process certainly has the lease."""
        return time.monotonic() < self._until

    def resign(self) -> None:
        """Give the lease up, so that another process can lead at once."""
        self._record.do(sql("keeper", "resign"), self._key, retry_for_s=0.5)
