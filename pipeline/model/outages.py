"""Say once that something this process needs is away, and once that it is back.

What is away is met by many: several threads, several connections, every unit of work. They share one `Absence` of it,
so that an outage is two lines in the log of a process and not two for each of them.
"""

from __future__ import annotations

import threading
import time
from enum import StrEnum

import structlog

log = structlog.get_logger(__name__)


class Need(StrEnum):
    """What a process can have to wait for."""

    RECORD = "record"
    QUEUE = "queue"
    BROKER = "broker"


# A connection that was cut, or one request that was lost, is no absence: the next try mends it.
_BLIP_S = {Need.RECORD: 0.5, Need.QUEUE: 0.5, Need.BROKER: 2.0}
_BLIPS = {Need.RECORD: 1, Need.QUEUE: 1, Need.BROKER: 4}
# What comes and goes is one outage: so soon after the last one, only what lasts so long is another.
_SOON_S, _LASTS_S = 10.0, 3.0

_kept: dict[tuple[Need, str], Outage] = {}
_lock = threading.Lock()


class Outage:
    """Whether one thing is away, as the tries of this process tell. Any thread may report."""

    def __init__(self, need: Need, **facts: str) -> None:
        self._need = need
        self._facts = facts
        self._lock = threading.Lock()
        self._since: float | None = None
        self._failures = 0
        self._said = False
        self._back_at = float("-inf")

    @property
    def failing(self) -> bool:
        """Say whether the last try failed, also when that may be a blip."""
        return self._since is not None

    @property
    def away(self) -> bool:
        """Say whether it has been away for long enough to be said."""
        return self._said

    def record_failure(self, error: object) -> None:
        """Report a try that failed; said when it lasts and was not said yet."""
        now = time.monotonic()
        with self._lock:
            self._since = now if self._since is None else self._since
            self._failures += 1
            blip_s = _LASTS_S if now - self._back_at < _SOON_S else _BLIP_S[self._need]
            lasts = self._failures > _BLIPS[self._need] and now - self._since >= blip_s
            if self._said or not lasts:
                return
            self._said = True
        _say_away(self._need, {"error": str(error)[:300], **self._facts})

    def record_success(self) -> None:
        """Report a try that was answered; said when the absence was."""
        if self._since is None:
            return
        with self._lock:
            since, self._since, self._failures = self._since, None, 0
            if not self._said or since is None:
                return
            self._said, self._back_at = False, time.monotonic()
        _say_back(self._need, {"away_s": f"{time.monotonic() - since:.1f}", **self._facts})


def outage_of(need: Need, address: str, **facts: str) -> Outage:
    """Return what this process knows of the absence of *need* at *address*; the same for all who ask."""
    with _lock:
        return _kept.setdefault((need, address), Outage(need, **facts))


def _say_away(need: Need, facts: dict[str, str]) -> None:
    match need:
        case Need.RECORD:
            log.error("record.away", **facts)
        case Need.QUEUE:
            log.error("queue.away", **facts)
        case Need.BROKER:
            log.error("broker.away", **facts)


def _say_back(need: Need, facts: dict[str, str]) -> None:
    match need:
        case Need.RECORD:
            log.info("record.back", **facts)
        case Need.QUEUE:
            log.info("queue.back", **facts)
        case Need.BROKER:
            log.info("broker.back", **facts)
