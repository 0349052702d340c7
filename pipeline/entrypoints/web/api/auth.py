"""Check the token of every request, its scope, and how many requests it has made."""

import secrets
import threading
import time
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from pipeline.entrypoints.web.api.errors import ApiError
from pipeline.entrypoints.web.api.peer import peer_of
from pipeline.entrypoints.web.api.sessions import HEADER, LASTS_S, BrowserSession, Sessions
from pipeline.model.errors import RecordUnavailable, TradewireError
from pipeline.operations.ended_sessions import end_session, has_ended
from pipeline.operations.guesses import Guesses
from pipeline.operations.request_rates import RequestRates
from pipeline.operations.tokens import MAIN, Holder, Scope, digest
from pipeline.operations.tokens import holder_of as holder_of_token
from pipeline.operations.tokens import named as holder_named
from pipeline.store.record import Record

# Seconds until a token is looked up again. A revoked token works for at most this long.
_KEPT_S = 5.0
# At most this many tokens are remembered. Unknown tokens are remembered too.
_MOST_KEPT = 1000
# The limit for signals is this many times the limit for other requests, since signals come in bursts.
_SIGNALS_TO_REQUESTS = 10

_MAIN_HOLDER = Holder(name=MAIN, scopes=frozenset(Scope))

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="token", description="TRADEWIRE_API_TOKEN, or one of `tradewire token add`."
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]


class Gate:
    """Looks tokens up and counts their requests. Thread-safe.

    While PostgreSQL is away, only the main token and remembered tokens are found; any other raises RecordUnavailable.
    """

    def __init__(self, record: Record, main: SecretStr, *, per_minute: int = 6000) -> None:
        self._record = record
        self._main = digest(main.get_secret_value())
        self.sessions = Sessions(main)
        self.guesses = Guesses()
        self._requests = RequestRates(per_minute)
        self._signals = RequestRates(per_minute * _SIGNALS_TO_REQUESTS)
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Holder | None, float]] = {}
        self._ended: dict[str, tuple[bool, float]] = {}

    def known(self, token: str) -> tuple[bool, Holder | None]:
        """Return whether the token was looked up lately or is the main one, and its holder (None: no such token).

        Hashes are compared, so that the time of a comparison reveals nothing about the token.
        """
        given = digest(token)
        if secrets.compare_digest(given, self._main):
            return True, _MAIN_HOLDER
        with self._lock:
            holder, until = self._kept.get(given, (None, 0.0))
        return time.monotonic() < until, holder

    def holder(self, token: str) -> Holder | None:
        """Return the holder of *token*; None when it is unknown or revoked."""
        known, holder = self.known(token)
        return holder if known else self._keep(digest(token), holder_of_token(self._record, token))

    def named(self, name: str) -> Holder | None:
        """Return the holder of the token called *name*; None when there is none any more."""
        if name == MAIN:
            return _MAIN_HOLDER
        # A hash has no colon, so names and hashes cannot be confused.
        key = f"name:{name}"
        with self._lock:
            holder, until = self._kept.get(key, (None, 0.0))
        return holder if time.monotonic() < until else self._keep(key, holder_named(self._record, name))

    def session_of(self, request: Request) -> BrowserSession | None:
        """Return the session of *request*; None when it has none, or its person has not logged in or has logged out."""
        session = self.sessions.of(request)
        if session is None or session.name is None:
            return None
        with self._lock:
            ended, until = self._ended.get(session.nonce, (False, 0.0))
        if time.monotonic() >= until:
            ended = has_ended(self._record, session.nonce)
            self._keep_ended(session.nonce, ended)
        return None if ended else session

    def holder_of_session(self, request: Request) -> Holder | None:
        """Return the holder of the token with which the person of *request* logged in; None when there is none."""
        session = self.session_of(request)
        return None if session is None or session.name is None else self.named(session.name)

    def remembers(self, request: Request, token: str | None) -> bool:
        """Return whether *request* has a *token* or a session that was lately found to be right, without a look-up."""
        if token is not None:
            known, holder = self.known(token)
            return known and holder is not None
        session, now = self.sessions.of(request), time.monotonic()
        if session is None or session.name is None:
            return False
        with self._lock:
            ended, looked_until = self._ended.get(session.nonce, (True, 0.0))
            holder, kept_until = self._kept.get(f"name:{session.name}", (None, 0.0))
        lasts = session.name == MAIN or (holder is not None and now < kept_until)
        return lasts and not ended and now < looked_until

    def end_session(self, session: BrowserSession) -> None:
        """End *session* at once in this web process, and within 5 s in all others."""
        end_session(self._record, session.nonce, lasts_s=LASTS_S)
        self._keep_ended(session.nonce, ended=True)

    def count(self, name: str, *, scope: Scope = Scope.READ) -> float | None:
        """Count one request of *name*; return the seconds to wait when it has used up its requests of this minute.

        Signals are counted separately: a program that reads too often can still send.
        """
        return (self._signals if scope is Scope.SIGNAL else self._requests).count(name)

    def _keep_ended(self, nonce: str, ended: bool) -> None:  # noqa: FBT001 - the one fact about it
        with self._lock:
            if len(self._ended) >= _MOST_KEPT:
                self._ended.clear()
            self._ended[nonce] = (ended, time.monotonic() + _KEPT_S)

    def _keep(self, key: str, holder: Holder | None) -> Holder | None:
        with self._lock:
            # Forgetting all of them is simpler than forgetting the oldest, and costs one look-up per token.
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = (holder, time.monotonic() + _KEPT_S)
        return holder


def opened_by(gate: Gate, scope: Scope) -> Any:
    """Return a dependency that refuses requests without *scope* or above the rate. It sets what `holder_of` returns."""

    async def let_in(request: Request, bearer: Bearer) -> None:
        found = await _holder_of(gate, request, None if bearer is None else bearer.credentials.strip())
        if found is None:
            headers = {"WWW-Authenticate": "Bearer"}
            message = "send the token as `Authorization: Bearer <token>`"
            raise ApiError(401, "unauthorized", message, headers=headers)
        if scope not in found.scopes:
            raise ApiError(403, "forbidden", f"this token does not have the scope {scope.value}")
        wait = gate.count(found.name, scope=scope)
        if wait is not None:
            headers = {"Retry-After": str(max(1, round(wait)))}
            raise ApiError(429, "too_many_requests", "this token has used up this minute's requests", headers=headers)
        request.state.holder = found

    return Depends(let_in)


def holder_of(request: Request) -> Holder:
    """Return the holder of the request's token."""
    holder: Holder = request.state.holder
    return holder


def by(request: Request) -> str:
    """Return the name that histories record for this request: the token's name, followed by `@http`."""
    return f"{holder_of(request).name}@http"


async def token_of(request: Request) -> str | None:
    """Return the token in the headers of *request*, whether it is right or not."""
    bearer = await _BEARER(request)
    return None if bearer is None else bearer.credentials.strip()


async def may_read(gate: Gate, request: Request) -> bool:
    """Return whether the request has a token or a session with the scope `read`. One without either is not refused."""
    holder = await _holder_of(gate, request, await token_of(request))
    return holder is not None and Scope.READ in holder.scopes


async def is_known(gate: Gate, request: Request, token: str | None) -> bool:
    """Return whether *request* has a valid *token* or a session. True if the record is away: the route reports that."""
    try:
        if token is not None:
            return await _holder_of_token(gate, request, token) is not None
        # The signature is checked first: a thread would cost more than the answer 429.
        session = gate.sessions.of(request)
        has_login = session is not None and session.name is not None
        return has_login and await run_in_threadpool(gate.holder_of_session, request) is not None
    except RecordUnavailable:
        return True
    except (ApiError, TradewireError):
        return False


async def _holder_of(gate: Gate, request: Request, token: str | None) -> Holder | None:
    if token is None:
        return await run_in_threadpool(_holder_of_session, gate, request)
    return await _holder_of_token(gate, request, token)


async def _holder_of_token(gate: Gate, request: Request, token: str) -> Holder | None:
    with gate.guesses.trying(peer_of(request), token) as guess:
        if guess.wait_s is not None:
            headers = {"Retry-After": str(round(guess.wait_s) + 1)}
            raise ApiError(429, "too_many_requests", "this address has sent too many wrong tokens", headers=headers)
        known, holder = gate.known(token)
        if not known:
            holder = await run_in_threadpool(gate.holder, token)
        guess.right = holder is not None
    return holder


def _holder_of_session(gate: Gate, request: Request) -> Holder | None:
    session = gate.session_of(request)
    if session is None or session.name is None:
        return None
    if request.method != "GET" and not gate.sessions.is_from(session, request.headers.get(HEADER)):
        raise ApiError(403, "forged", f"send the session's token in the header {HEADER}")
    return gate.named(session.name)
