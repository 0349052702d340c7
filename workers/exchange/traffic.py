"""Count each account's requests, and refuse those above a rate when one is set."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_MINUTE_NS = 60_000_000_000
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Toll:
    """Whether a request may pass, and what the answer's headers say of the rate."""

    passes: bool
    headers: tuple[tuple[bytes, bytes], ...] = ()


FREE = Toll(passes=True)


@dataclass(slots=True)
class _Meter:
    """The requests of one account."""

    #: When the requests of the last minute came, in nanoseconds: all of them, and those that were let through.
    arrived: deque[int] = field(default_factory=deque)
    passed: deque[int] = field(default_factory=deque)
    routes: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    refused: int = 0

    def count(self, route: str, now_ns: int) -> None:
        for times in (self.arrived, self.passed):
            while times and times[0] <= now_ns - _MINUTE_NS:
                times.popleft()
        self.arrived.append(now_ns)
        self.routes[route] += 1
        self.busiest = max(self.busiest, len(self.arrived))


class Traffic:
    """The requests of all accounts to the trading API, over a minute that slides."""

    def __init__(self) -> None:
        self._meters: dict[str, _Meter] = {}
        self._per_minute: int | None = None
        self._retry_after = True

    def limit(self, per_minute: int | None, *, retry_after: bool) -> None:
        """Let each account make so many requests a minute (None: any number), and count anew.

        Args:
            per_minute: How many.
            retry_after: Whether a refusal says when to come again; `X-RateLimit-Reset` always does.
        """
        self._per_minute, self._retry_after = per_minute, retry_after
        self._meters = {}

    def arrive(self, key: str, route: str, now_ns: int) -> Toll:
        """Count a request of the account *key*; say whether it may pass."""
        meter = self._meters.setdefault(key, _Meter())
        meter.count(route, now_ns)
        if self._per_minute is None:
            return FREE
        passes = len(meter.passed) < self._per_minute
        if passes:
            meter.passed.append(now_ns)
        else:
            meter.refused += 1
        return Toll(passes=passes, headers=self._headers(meter, self._per_minute, now_ns, passes=passes))

    def to_json(self, key: str) -> dict[str, Any]:
        """Return what was counted of the account *key* since the start, or since the rate was last set."""
        meter = self._meters.get(key, _Meter())
        return {
            "per_minute": self._per_minute,
            "requests": meter.routes.total(),
            "refused": meter.refused,
            "busiest_60s": meter.busiest,
            "routes": dict(sorted(meter.routes.items())),
        }

    def _headers(self, meter: _Meter, limit: int, now_ns: int, *, passes: bool) -> tuple[tuple[bytes, bytes], ...]:
        free_ns = (meter.passed[0] if meter.passed else now_ns) + _MINUTE_NS
        said = {
            "x-ratelimit-limit": limit,
            "x-ratelimit-remaining": limit - len(meter.passed),
            "x-ratelimit-reset": -(-free_ns // _NANO),
        }
        if not passes and self._retry_after:
            said["retry-after"] = max(1, -(-(free_ns - now_ns) // _NANO))
        return tuple((name.encode(), str(value).encode()) for name, value in said.items())
