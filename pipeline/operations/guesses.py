"""Limit how many tokens and passwords an address may guess in a minute."""

import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import TypeVar

from pipeline.operations.tokens import digest

K = TypeVar("K")
V = TypeVar("V")

#: Wrong tokens that one address may send in a minute.
PER_MINUTE = 20
_MINUTE_S = 60.0
_MOST_KEPT = 5000
# The length of the prefix that counts as one address: a client usually has all IPv6 addresses of its network.
_IPV6_NETWORK = 64


class Guesses:
    """Counts wrong tokens by address. Thread-safe.

    While an address is over its limit, it may use only tokens that were right from this address before. So a program
    with an old token does not stop the other programs of its machine.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}
        self._right: dict[tuple[str, str], None] = {}

    def wait_s(self, address: str | None, token: str) -> float | None:
        """Return the seconds until *address* may try *token*; None when it may try it now."""
        network, now = network_of(address), self._clock()
        with self._lock:
            count, until = self._wrong.get(network, (0, now))
            if count < PER_MINUTE or now >= until or (network, digest(token)) in self._right:
                return None
            return until - now

    def allowed(self, address: str | None, tokens: Sequence[str]) -> tuple[str, ...]:
        """Return those of *tokens* that *address* may try now: the ones right before, and as many others as are left.

        Nothing is counted before `record`: a caller that has several threads tries and records under one lock.
        """
        network, now = network_of(address), self._clock()
        with self._lock:
            count, until = self._wrong.get(network, (0, now))
            left = PER_MINUTE if now >= until else max(0, PER_MINUTE - count)
            known = {token for token in tokens if (network, digest(token)) in self._right}
        others = [token for token in dict.fromkeys(tokens) if token not in known]
        return (*known, *others[:left])

    def record(self, address: str | None, token: str, *, right: bool) -> None:
        """Remember whether *token*, which *address* sent, was right."""
        network, now = network_of(address), self._clock()
        with self._lock:
            if right:
                _keep(self._right, (network, digest(token)), None)
                return
            self._right.pop((network, digest(token)), None)
            count, until = self._wrong.get(network, (0, now))
            _keep(self._wrong, network, (1, now + _MINUTE_S) if now >= until else (count + 1, until))


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]


def network_of(address: str | None) -> str:
    """Return what counts as one address: all of this machine's own, an IPv6 network, or *address* itself."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return address or ""
    known = getattr(known, "ipv4_mapped", None) or known
    # A program on this machine can send from any address that begins with 127.
    if known.is_loopback:
        return "loopback"
    return str(known) if known.version == 4 else str(ip_network((known, _IPV6_NETWORK), strict=False))  # noqa: PLR2004
