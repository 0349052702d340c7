"""Lead by a leased row: a keeper that stops or sleeps is replaced when its lease runs out."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import structlog

from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

_LEASE = timedelta(seconds=3)


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
        self._record.run(lambda connection: connection.execute(sql("keeper", "resign"), self._key), retry_for_s=0.5)
