"""Log once that something this process needs is away, and once that it is back.

Several threads and connections of a process notice the same outage. They share one `Outage`, so that the process
writes only two log lines about it.
"""

from __future__ import annotations

import threading
import time
from enum import StrEnum

import structlog

log = structlog.get_logger(__name__)


class Need(StrEnum):
    """A server that a process needs and may have to wait for."""

    RECORD = "record"
    QUEUE = "queue"
    BROKER = "broker"


# An outage is logged when the failures have lasted for `_BLIP_S` seconds and are more than `_BLIPS`. A cut connection
# or a single lost request is not an outage: the next try succeeds.
_BLIP_S = {Need.RECORD: 0.5, Need.QUEUE: 0.5, Need.BROKER: 2.0}
_BLIPS = {Need.RECORD: 1, Need.QUEUE: 1, Need.BROKER: 4}
# Within 10 s after an outage, a new one is logged only when failures last for 3 s: failures that come and go belong to
# the same outage.
_SOON_S, _LASTS_S = 10.0, 3.0

_outages: dict[tuple[Need, str], Outage] = {}
_lock = threading.Lock()


class Outage:
    """Records whether one server is away, judged by this process's requests to it. Safe to use from any thread."""

    def __init__(self, need: Need, **facts: str) -> None:
        self._need = need
        self._facts = facts
        self._lock = threading.Lock()
        self._since: float | None = None
        self._failures = 0
        self._logged = False
        self._back_at = float("-inf")

    @property
    def failing(self) -> bool:
        """Return whether the last try failed, even if that is not logged as an outage yet."""
        return self._since is not None

    def record_failure(self, error: object) -> None:
        """Count a failed try; log the outage once when failures last."""
        now = time.monotonic()
        with self._lock:
            self._since = now if self._since is None else self._since
            self._failures += 1
            blip_s = _LASTS_S if now - self._back_at < _SOON_S else _BLIP_S[self._need]
            lasts = self._failures > _BLIPS[self._need] and now - self._since >= blip_s
            if self._logged or not lasts:
                return
            self._logged = True
        _log_away(self._need, {"error": str(error)[:300], **self._facts})

    def record_success(self) -> None:
        """Count a successful try; log the end of an outage that was logged."""
        # Nearly every call ends here, without the lock.
        if self._since is None:
            return
        with self._lock:
            since, self._since, self._failures = self._since, None, 0
            if not self._logged or since is None:
                return
            self._logged, self._back_at = False, time.monotonic()
        _log_back(self._need, {"away_s": f"{time.monotonic() - since:.1f}", **self._facts})


def outage_of(need: Need, address: str, **facts: str) -> Outage:
    """Return the one `Outage` of this process for *need* at *address*."""
    with _lock:
        return _outages.setdefault((need, address), Outage(need, **facts))


# Event names are written out in full, so that a search and the tool that writes events.md find them.
def _log_away(need: Need, facts: dict[str, str]) -> None:
    match need:
        case Need.RECORD:
            log.error("record.away", **facts)
        case Need.QUEUE:
            log.error("queue.away", **facts)
        case Need.BROKER:
            log.error("broker.away", **facts)


def _log_back(need: Need, facts: dict[str, str]) -> None:
    match need:
        case Need.RECORD:
            log.info("record.back", **facts)
        case Need.QUEUE:
            log.info("queue.back", **facts)
        case Need.BROKER:
            log.info("broker.back", **facts)
