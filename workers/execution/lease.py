"""Renew the leases of this process's executions, and compute how much of a lease is certainly left."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import structlog

from pipeline.model.errors import TradewireError
from pipeline.store.record import Record
from pipeline.store.statements import sql

log = structlog.get_logger(__name__)

#: A worker that has not renewed its lease for this long loses its execution to another process.
LEASE = timedelta(seconds=3)
#: Two renewals in a row may fail before the lease ends.
RENEW_EVERY_S = 1.0
#: An order is only sent while this much of the lease is left, so that a suspended process does not send after a
#: takeover.
MARGIN_S = 1.0


class Lease:
    """The lease of one execution, as far as this process can be sure of it."""

    def __init__(self, execution_id: UUID, fence: int, *, asked_at: float) -> None:
        self.execution_id = execution_id
        self.fence = fence
        self._sure_until = asked_at + LEASE.total_seconds()

    def renewed(self, *, asked_at: float) -> None:
        """Extend the lease from *asked_at*, a moment before the renewal was sent, so that it is never overestimated."""
        self._sure_until = max(self._sure_until, asked_at + LEASE.total_seconds())

    def lost(self) -> None:
        """End the lease: another process has the execution."""
        self._sure_until = 0.0

    def safe_to_send(self) -> bool:
        """Return whether enough of the lease is left to send an order. A suspended process loses its lease, too."""
        return self._sure_until - time.monotonic() >= MARGIN_S


class LeaseKeeper:
    """Renews the leases of this process each second, in a thread and on a connection of its own."""

    def __init__(self, database_url: str) -> None:
        self._record = Record(database_url, connections=1, retry_for_s=LEASE.total_seconds())
        self._held: dict[UUID, Lease] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_for_ever, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def keep(self, execution_id: UUID, fence: int, *, asked_at: float) -> Iterator[Lease]:
        """Renew the lease until the block is left; *asked_at* is the monotonic time before the claim was sent."""
        lease = Lease(execution_id, fence, asked_at=asked_at)
        with self._lock:
            self._held[execution_id] = lease
        try:
            yield lease
        finally:
            with self._lock:
                # After a lease was lost, another thread of this process may have the execution under a newer lease.
                if self._held.get(execution_id) is lease:
                    del self._held[execution_id]

    def close(self) -> None:
        """Stop renewing."""
        self._stop.set()
        self._record.stopping.set()
        self._thread.join(timeout=2.0)
        self._record.close()

    def _renew_for_ever(self) -> None:
        while not self._stop.wait(RENEW_EVERY_S):
            with self._lock:
                held = list(self._held.values())
            for lease in held:
                try:
                    self._renew(lease)
                except Exception:
                    # If this thread ended, no lease would be renewed, and a slow execution could not send its order.
                    log.exception("lease.not_renewed", execution_id=str(lease.execution_id))

    def _renew(self, lease: Lease) -> None:
        asked_at = time.monotonic()
        try:
            values = {"execution_id": lease.execution_id, "fence": lease.fence, "lease": LEASE}
            renewed = self._record.do(sql("executions", "renew"), values) > 0
        except TradewireError:
            return  # The lease runs out by itself, and with it the right to send.
        if renewed:
            lease.renewed(asked_at=asked_at)
            return
        with self._lock:
            ours = self._held.get(lease.execution_id) is lease
        if ours:
            lease.lost()
            log.warning("lease.lost", execution_id=str(lease.execution_id), fence=lease.fence)
