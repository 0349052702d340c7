"""Count each account's requests, and refuse those above the limit when one is set."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_MINUTE_NS = 60_000_000_000
_NANO = 1_000_000_000
#: The broker's documented limit, shown in the headers while no limit is enforced.
DOCUMENTED_PER_MINUTE = 200
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class RateDecision:
    """The decision on one request: whether it is let through, and the rate-limit headers of its answer."""

    passes: bool
    headers: Headers = ()


#: The decision on each request for market data. The broker has a separate limit for it, this exchange has none.
UNLIMITED = RateDecision(passes=True)


@dataclass(slots=True)
class _RequestCount:
    """The requests of one account."""

    #: The times, in nanoseconds, of all requests of the last minute, and of those that were let through.
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
    """The requests of all accounts to the trading API, over a sliding minute."""

    def __init__(self) -> None:
        self._counts: dict[str, _RequestCount] = {}
        self._per_minute: int | None = None
        self._retry_after = True

    def limit(self, per_minute: int | None, *, retry_after: bool) -> None:
        """Limit each account's requests per minute (None: no limit), and reset the counts."""
        self._per_minute, self._retry_after = per_minute, retry_after
        self._counts = {}

    def count(self, key: str, route: str, now_ns: int) -> RateDecision:
        """Count a request of the account *key*, and decide whether it is let through."""
        requests = self._counts.setdefault(key, _RequestCount())
        requests.count(route, now_ns)
        passes = self._per_minute is None or len(requests.passed) < self._per_minute
        if passes:
            requests.passed.append(now_ns)
        else:
            requests.refused += 1
        return RateDecision(passes=passes, headers=self._headers(requests, now_ns, passes=passes))

    def headers(self, key: str, now_ns: int) -> Headers:
        """Return the headers of an answer to *key* that is not counted, because its login or its route is wrong."""
        return self._headers(self._counts.get(key, _RequestCount()), now_ns, passes=True)

    def to_json(self, key: str) -> dict[str, Any]:
        """Return the counts of the account *key* since the start, or since the limit was last set."""
        requests = self._counts.get(key, _RequestCount())
        return {
            "per_minute": self._per_minute,
            "requests": requests.routes.total(),
            "refused": requests.refused,
            "busiest_60s": requests.busiest,
            "routes": dict(sorted(requests.routes.items())),
        }

    def _headers(self, requests: _RequestCount, now_ns: int, *, passes: bool) -> Headers:
        limit = DOCUMENTED_PER_MINUTE if self._per_minute is None else self._per_minute
        free_ns = (requests.passed[0] if requests.passed else now_ns) + _MINUTE_NS
        values = {
            "x-ratelimit-limit": limit,
            "x-ratelimit-remaining": max(limit - len(requests.passed), 0),
            "x-ratelimit-reset": -(-free_ns // _NANO),
        }
        if not passes and self._retry_after:
            values["retry-after"] = max(1, -(-(free_ns - now_ns) // _NANO))
        return tuple((name.encode(), str(value).encode()) for name, value in values.items())
