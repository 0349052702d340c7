"""Send each request to Alpaca's APIs once, and return the reply as a plain value.

alpaca-py's own client has no timeout, sends again after 429 and 504 (orders, too), and raises exceptions that hold the
account's keys. This module prevents all three.
"""

import email.utils
import http.client
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import requests
from urllib3 import Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, ReadTimeoutError

from workers.brokers.alpaca.library import RESTClient, TradingClient
from workers.brokers.alpaca.transport import DeadlineAdapter

#: A list of 500 orders is about 600 kB. A far longer body is not an answer of this API.
MAXIMUM_ANSWER_BYTES = 16 * 1024 * 1024

#: A broker answers a short read in well under a second, and a read can be repeated without harm. So a short read gets
#: only this share of the time limit. After a request that took as long or longer, the next one gets the whole limit.
QUICK_SHARE = 0.25

#: Alpaca's secrets have 40 characters. Replacing a very short secret would damage ordinary answers.
SHORTEST_SECRET = 8

#: The ids that Alpaca gives to requests have 32 characters.
LONGEST_REQUEST_ID = 128


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    """A complete HTTP answer. *text* is empty if the body could not be decoded or is longer than the maximum."""

    status: int
    text: str
    retry_after_s: float | None = None
    #: The broker's `X-Request-ID`; None if the answer has none.
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class NoConnection:
    """No connection was made: not one byte of the request was sent."""

    message: str


@dataclass(frozen=True, kw_only=True)
class NoReply:
    """The request may have been sent, but no complete answer came.

    *garbled*: bytes came that are not HTTP.
    """

    message: str
    garbled: bool = False


Reply = HttpAnswer | NoConnection | NoReply


class OneTry(RESTClient):
    """A client of alpaca-py on our own transport, which sends each request exactly once."""

    def _install_transport(self, timeout_s: float) -> None:
        """Install our transport. Every constructor calls this."""
        self._retry = 0
        # All clients share the default list, so this client gets its own.
        self._retry_codes = []
        # No proxies and no netrc: the keys are sent to base_url only.
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, DeadlineAdapter())
        self._timeout_s = timeout_s
        self._slow = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A broker session holds an account's keys and is not pickled.")

    def close(self) -> None:
        """Close the kept-alive connections."""
        self._session.close()

    def _without_keys(self, text: str) -> str:
        """Return *text* without the keys, in case a server or a proxy echoes our headers."""
        for key in (str(self._secret_key), str(self._api_key)):
            text = text.replace(key, "***") if len(key) >= SHORTEST_SECRET else text
        return text

    def _one_request(self, method: str, url: str, opts: dict[str, Any], retry: int) -> Reply:  # type: ignore[override]  # noqa: ARG002 - given by alpaca-py
        """Send the request once. Never raises for errors of the network or the broker."""
        limit_s = self._limit_s(method, url)
        # Connecting may take half of the whole limit. If it fails, the request was certainly not sent.
        timeout = Timeout(total=limit_s, connect=min(limit_s, self._timeout_s / 2))
        began = time.monotonic()
        try:
            with self._session.request(
                method,
                url,
                **opts,
                timeout=timeout,  # type: ignore[arg-type]  # transports take it, as their annotations say
                stream=True,
            ) as response:
                return HttpAnswer(
                    status=response.status_code,
                    text=self._without_keys(_read(response)),
                    retry_after_s=retry_after_s(response.headers, now=time.time()),
                    request_id=_request_id(self._without_keys(response.headers.get("X-Request-ID", ""))),
                )
        # Exceptions of the lower layers hold the request, and with it the keys, so they are all caught here.
        except (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as exc:
            return _failure(exc, limit_s)
        finally:
            self._slow = time.monotonic() - began >= self._timeout_s * QUICK_SHARE

    def _limit_s(self, method: str, url: str) -> float:
        """Return the seconds that a request may take.

        The whole limit applies to lists of orders or activities, to requests that are not reads, and after a slow one.
        """
        quick = method == "GET" and not self._slow and not url.endswith(("/orders", "/activities"))
        return self._timeout_s * QUICK_SHARE if quick else self._timeout_s


class AlpacaSession(OneTry, TradingClient):
    """The trading API."""

    def __init__(self, *, api_key: str, api_secret: str, base_url: str, timeout_s: float) -> None:
        super().__init__(api_key, api_secret, raw_data=True, url_override=base_url)
        self._install_transport(timeout_s)


class PriceSession(OneTry):
    """The market data API: another service with the same keys."""

    def __init__(self, *, api_key: str, api_secret: str, base_url: str, timeout_s: float) -> None:
        super().__init__(base_url, api_key, api_secret, raw_data=True)
        self._install_transport(timeout_s)


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that a broker asks us to wait; None when it asks for none.

    Reads `Retry-After` (seconds or a date), or without it `X-RateLimit-Reset` (seconds since 1970). A time is compared
    with the answer's `Date`, or with *now* if the answer has none.
    """
    sent = _epoch(headers.get("Date")) or now
    asked = headers.get("Retry-After")
    if asked is None:
        wait, until = None, _number(headers.get("X-RateLimit-Reset"))
    else:
        wait, until = _number(asked), _epoch(asked)
    if wait is None and until is not None:
        wait = until - sent
    return None if wait is None else max(0.0, wait)


def _request_id(sent: str) -> str | None:
    """Return the id if it can be stored and shown unchanged, else None: the broker does not know a changed id."""
    fits = sent.isascii() and sent.isprintable() and len(sent) <= LONGEST_REQUEST_ID
    return sent.strip() or None if fits else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _epoch(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _read(response: requests.Response) -> str:
    body = bytearray()
    try:
        for chunk in response.iter_content(64 * 1024):
            body += chunk
            if len(body) > MAXIMUM_ANSWER_BYTES:
                return ""
    except requests.exceptions.ContentDecodingError:
        return ""
    return body.decode("utf-8", "replace")


def _failure(exc: BaseException, timeout_s: float) -> NoConnection | NoReply:
    """Translate *exc* by its classes alone: its text may contain a header, and so a key."""
    causes = list(_causes(exc))
    if any(isinstance(cause, ConnectTimeoutError) for cause in causes):
        return NoConnection(message=_why_no_connection(causes))
    if any(isinstance(cause, (ReadTimeoutError, TimeoutError)) for cause in causes):
        return NoReply(message=f"no complete answer within {timeout_s:g} s")
    if any(_is_garbled(cause) for cause in causes):
        return NoReply(message="the answer is not HTTP", garbled=True)
    return NoReply(message="the connection broke before the answer was complete")


def _why_no_connection(causes: list[BaseException]) -> str:
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return "the name of the broker's host could not be resolved"
    refusals = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if refusals:
        return f"no connection: {refusals[-1]}"
    return "no connection within the time limit"


def _is_garbled(cause: BaseException) -> bool:
    broke_off = (http.client.RemoteDisconnected, http.client.IncompleteRead)
    return isinstance(cause, http.client.HTTPException) and not isinstance(cause, broke_off)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield *exc* and all its causes, each once."""
    seen: set[int] = set()
    waiting: list[BaseException] = [exc]
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        causes = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        waiting.extend(each for each in causes if isinstance(each, BaseException))
