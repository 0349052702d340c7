"""Limit how many tokens and passwords an address may guess in a minute."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from pipeline.operations.request_rates import keep
from pipeline.operations.tokens import digest

#: Wrong tokens that one address may send in a minute.
PER_MINUTE = 20
_MINUTE_S = 60.0
# The length of the prefix that counts as one address: a client usually has all IPv6 addresses of its network.
_IPV6_NETWORK = 64


@dataclass(kw_only=True)
class Guess:
    """A token that an address tries."""

    #: The seconds until the address may try it; None when it may try it now.
    wait_s: float | None
    #: Whether the token is right; None when it could not be looked up, and then it is not counted.
    right: bool | None = None


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

    @contextmanager
    def trying(self, address: str | None, token: str) -> Iterator[Guess]:
        """Yield whether *address* may try *token* now. The block looks the token up, and sets `right`.

        Wrong tokens that arrive at the same time may all be tried before the first is counted. If a token that is being
        looked up counted as a wrong one, the right tokens of many programs would be refused.
        """
        tried = (network_of(address), digest(token))
        with self._lock:
            guess = Guess(wait_s=self._wait_s(*tried))
        yield guess
        if guess.wait_s is None and guess.right is not None:
            with self._lock:
                self._record(*tried, right=guess.right)

    def allowed(self, address: str | None, tokens: Sequence[str]) -> tuple[str, ...]:
        """Return the *tokens* that *address* may try now: all that were right before, and as many others as are left.

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
        with self._lock:
            self._record(network_of(address), digest(token), right=right)

    def _record(self, network: str, token: str, *, right: bool) -> None:
        if right:
            keep(self._right, (network, token), None)
            return
        self._right.pop((network, token), None)
        now = self._clock()
        count, until = self._wrong.get(network, (0, now))
        keep(self._wrong, network, (1, now + _MINUTE_S) if now >= until else (count + 1, until))

    def _wait_s(self, network: str, token: str) -> float | None:
        now = self._clock()
        count, until = self._wrong.get(network, (0, now))
        free = now >= until or count < PER_MINUTE or (network, token) in self._right
        return None if free else until - now


def network_of(address: str | None) -> str:
    """Return what counts as one address: all of this machine's own, an IPv6 network, or *address* itself.

    All texts that are no address count as one.
    """
    try:
        known = ip_address(address or "")
    except ValueError:
        return "unknown"
    known = getattr(known, "ipv4_mapped", None) or known
    # A program on this machine can send from any address that begins with 127.
    if known.is_loopback:
        return "loopback"
    return str(known) if known.version == 4 else str(ip_network((known, _IPV6_NETWORK), strict=False))  # noqa: PLR2004
