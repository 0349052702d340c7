"""Count the deliveries of unauthenticated senders, without a row in the record for each request."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pipeline.intake.webhooks.deliveries import Arrival
from pipeline.model.errors import Unavailable

log = structlog.get_logger(__name__)

#: The shortest time between two writes for one webhook and code, in seconds.
EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class UnauthenticatedDelivery:
    """One delivery with a wrong secret, from a wrong address, to an unknown webhook, or too long or too frequent."""

    arrival: Arrival
    code: str
    message: str


class UnauthenticatedCounter:
    """Writes the first delivery of a kind at once, then the number of new ones at most once a second. Thread-safe.

    A kind is a webhook and a code, so that the number of kinds does not grow with the number of requests.
    """

    def __init__(self, write: Callable[[UnauthenticatedDelivery, int], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], tuple[UnauthenticatedDelivery, int]] = {}
        self._written: dict[tuple[str, str], float] = {}
        self._timer: threading.Timer | None = None

    def count(self, delivery: UnauthenticatedDelivery) -> None:
        """Count one delivery. While PostgreSQL is away the number is kept and written later."""
        kind = (delivery.arrival.webhook, delivery.code)
        with self._lock:
            _, before = self._waiting.get(kind, (delivery, 0))
            self._waiting[kind] = (delivery, before + 1)
            due = time.monotonic() - self._written.get(kind, float("-inf")) >= EVERY_S
            if not due:
                self._set_timer()
        if due:
            # Outside the lock, because the write waits for PostgreSQL.
            self._write_one(kind)

    def close(self) -> None:
        """Write the counts that are not written yet."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            kinds = list(self._waiting)
        for kind in kinds:
            self._write_one(kind, last=True)

    def _write_one(self, kind: tuple[str, str], *, last: bool = False) -> None:
        with self._lock:
            delivery, times = self._waiting.pop(kind, (None, 0))
            self._written[kind] = time.monotonic()
        if delivery is None:
            return
        try:
            self._write(delivery, times)
        except Unavailable:
            with self._lock:
                _, since = self._waiting.get(kind, (delivery, 0))
                self._waiting[kind] = (delivery, since + times)
                if not last:
                    self._set_timer()
            return
        log.warning("delivery.refused", webhook=kind[0], code=kind[1], times=times)

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(EVERY_S, self._tick)
            self._timer.daemon = True
            self._timer.start()

    def _tick(self) -> None:
        with self._lock:
            self._timer = None
            kinds = list(self._waiting)
        for kind in kinds:
            self._write_one(kind)
