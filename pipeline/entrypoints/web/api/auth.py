"""Let in who carries a token with the right scope, and not too often."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from pipeline.entrypoints.web.api.errors import ApiError
from pipeline.entrypoints.web.api.sessions import HEADER, Sessions
from pipeline.operations.tokens import MAIN, Holder, Scope, digest
from pipeline.operations.tokens import holder_of as holder_of_token
from pipeline.operations.tokens import named as holder_named
from pipeline.store.record import Record

# A token that was revoked opens nothing after this; until then nobody asks the record again.
_KEPT_S = 5.0
# Strangers' tokens are remembered too, but not without end.
_MOST_KEPT = 1000
_MINUTE_S = 60.0
# What changes nothing needs no proof of where it comes from.
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})
# Signals come in bursts, and none is turned away for it; a page that asks as often is a loop gone wild.
_SIGNALS_TO_REQUESTS = 10

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="TRADEWIRE_API_TOKEN, or one of `tradewire token add`."
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]


@dataclass(kw_only=True)
class _Bucket:
    """What a holder may still ask for."""

    left: float
    at: float = field(default_factory=time.monotonic)


class Gate:
    """Knows tokens and counts their requests. Thread-safe."""

    def __init__(self, record: Record, main: SecretStr, *, per_minute: int = 6000) -> None:
        self._record = record
        self._main = digest(main.get_secret_value())
        self.sessions = Sessions(main)
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Holder | None, float]] = {}
        self._buckets: dict[tuple[str, bool], _Bucket] = {}

    def known(self, token: str) -> tuple[bool, Holder | None]:
        """Return whether it is known without asking the record whose token it is, and whose it is.

        Comparisons are of hashes, so that time tells nothing of the token.
        """
        given = digest(token)
        if secrets.compare_digest(given, self._main):
            return True, Holder(name=MAIN, scopes=frozenset(Scope))
        with self._lock:
            holder, until = self._kept.get(given, (None, 0.0))
        return time.monotonic() < until, holder

    def holder(self, token: str) -> Holder | None:
        """Return whose token it is; None when nobody's.

        Raises:
            RecordUnavailable: it is not the main token, and PostgreSQL is away.
        """
        known, holder = self.known(token)
        if known:
            return holder
        holder = holder_of_token(self._record, token)
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[digest(token)] = (holder, time.monotonic() + _KEPT_S)
        return holder

    def named(self, name: str) -> Holder | None:
        """Return whose sessions these are; None when the token of that name opens nothing any more.

        Raises:
            RecordUnavailable: it is not the main token, and PostgreSQL is away.
        """
        if name == MAIN:
            return Holder(name=MAIN, scopes=frozenset(Scope))
        with self._lock:
            # A name has no colon, and a hash is no name: the two kinds of keys do not meet.
            holder, until = self._kept.get(f"name:{name}", (None, 0.0))
        if time.monotonic() < until:
            return holder
        holder = holder_named(self._record, name)
        with self._lock:
            self._kept[f"name:{name}"] = (holder, time.monotonic() + _KEPT_S)
        return holder

    def count(self, name: str, *, scope: Scope = Scope.READ) -> float | None:
        """Count one request of *name*; return the seconds to wait when it has had its share of the minute.

        Signals are counted apart: who looks too often can still send.
        """
        signals = scope is Scope.SIGNAL
        most = self._per_minute * (_SIGNALS_TO_REQUESTS if signals else 1)
        rate = most / _MINUTE_S
        with self._lock:
            now = time.monotonic()
            bucket = self._buckets.setdefault((name, signals), _Bucket(left=most))
            bucket.left = min(most, bucket.left + (now - bucket.at) * rate)
            bucket.at = now
            if bucket.left < 1:
                return (1 - bucket.left) / rate
            bucket.left -= 1
            return None


def opened_by(gate: Gate, scope: Scope) -> Any:
    """Return the dependency that lets in who has *scope*; `holder_of` then says who."""

    async def let_in(request: Request, bearer: Bearer) -> None:
        found = await _who_asks(gate, request, bearer)
        if found is None:
            headers = {"WWW-Authenticate": "Bearer"}
            message = "send the token as `Authorization: Bearer <token>`"
            raise ApiError(401, "unauthorized", message, headers=headers)
        if scope not in found.scopes:
            raise ApiError(403, "forbidden", f"this token does not have the scope {scope.value}")
        wait = gate.count(found.name, scope=scope)
        if wait is not None:
            headers = {"Retry-After": str(max(1, round(wait)))}
            raise ApiError(429, "too_many_requests", "this token has used its requests of the minute", headers=headers)
        request.state.holder = found

    return Depends(let_in)


def holder_of(request: Request) -> Holder:
    """Return who was let in."""
    holder: Holder = request.state.holder
    return holder


def by(request: Request) -> str:
    """Return how histories name who was let in: the token's name, and that it came over HTTP."""
    return f"{holder_of(request).name}@http"


async def _who_asks(gate: Gate, request: Request, bearer: HTTPAuthorizationCredentials | None) -> Holder | None:
    """Return who asks; None: nobody says. The one place where a credential of any kind becomes a holder.

    Raises:
        ApiError: a session asks for more than a look, without its token against forged requests.
        RecordUnavailable: PostgreSQL is away, and only it knows the token.
    """
    if bearer is None:
        return await run_in_threadpool(_whose_session, gate, request)
    token = bearer.credentials.strip()
    known, holder = gate.known(token)
    return holder if known else await run_in_threadpool(gate.holder, token)


def _whose_session(gate: Gate, request: Request) -> Holder | None:
    session = gate.sessions.of(request)
    if session is None or session.name is None:
        return None
    if request.method not in _LOOKS and not gate.sessions.is_from(session, request.headers.get(HEADER)):
        raise ApiError(403, "forged", f"a session's request that changes something carries {HEADER}")
    return gate.named(session.name)
