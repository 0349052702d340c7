"""Limit how many requests a client may make in a minute."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MINUTE_S = 60.0
_MOST_KEPT = 5000


class RequestRates:
    """Counts requests by name, and allows each name *per_minute* in a minute, all at once or spread. Thread-safe."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_s, self._clock = per_minute, per_minute / _MINUTE_S, clock
        self._lock = threading.Lock()
        # The requests that each name had left at its last request, and the time of that request.
        self._left: dict[str, tuple[float, float]] = {}

    def count(self, name: str) -> float | None:
        """Count one request of *name*; return the seconds to wait if it has used up its minute."""
        with self._lock:
            now = self._clock()
            left, at = self._left.get(name, (float(self._most), now))
            left = min(self._most, left + (now - at) * self._per_s)
            keep(self._left, name, (left if left < 1 else left - 1, now))
            return (1 - left) / self._per_s if left < 1 else None


def keep(kept: dict[K, V], key: K, value: V) -> None:
    """Set *key* to *value*; of more than 5000 keys, remove the one that was set the longest time ago."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]
