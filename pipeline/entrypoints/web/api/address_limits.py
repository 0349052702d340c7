"""Limit the requests that an address sends without a right token and without a login: each takes time to answer."""

from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.entrypoints.web.api.auth import Gate, is_known, token_of
from pipeline.entrypoints.web.api.errors import answer
from pipeline.entrypoints.web.api.peer import sender_of
from pipeline.operations.guesses import network_of
from pipeline.operations.request_rates import RequestRates

#: Such requests that one address may send in a minute.
PER_MINUTE = 600

# A process monitor has no token, and must get its answer.
_UNLIMITED = frozenset({"/health", "/ready", "/metrics"})
_MESSAGE = "this address has sent too many requests without a right token in this minute"


class AddressLimits:
    """ASGI middleware around the whole application, inside `ForwardedSenders`.

    Deliveries to the named webhooks have limits of their own.
    """

    def __init__(self, app: ASGIApp, *, gate: Gate, webhooks: Collection[str]) -> None:
        """Pass on every request whose token or session *gate* knows, and deliveries to *webhooks*."""
        self._app = app
        self._webhooks = frozenset(webhooks)
        self._gate = gate
        self._rates = RequestRates(PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 429."""
        wait = await self._wait_s(Request(scope)) if self._is_limited(scope) else None
        if wait is None:
            await self._app(scope, receive, send)
            return
        headers = {"Retry-After": str(max(1, round(wait)))}
        await answer(429, "too_many_requests", _MESSAGE, headers=headers)(scope, receive, send)

    # A token or a session is looked up only when the address has no requests left: a look-up takes longer.
    async def _wait_s(self, request: Request) -> float | None:
        token = await token_of(request)
        if self._gate.remembers(request, token):
            return None
        wait = self._rates.count(network_of(sender_of(request)))
        return None if wait is None or await is_known(self._gate, request, token) else wait

    def _is_limited(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["path"] in _UNLIMITED:
            return False
        kind, _, name = scope["path"].removeprefix("/").partition("/")
        is_delivery = scope["method"] == "POST" and kind == "webhooks" and name.split("/")[0] in self._webhooks
        return not is_delivery
