"""Stand before the trading API: say who calls, go wrong where a fault says so, answer once it is written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import structlog
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.exchange.accounts import ExchangeAccount
from workers.exchange.calls import Call, Handler, Reply, refusal
from workers.exchange.faults import AFTER, BEFORE, OF_ORDERS, FaultKind, On
from workers.exchange.floor import Floor
from workers.exchange.mishaps import (
    FaultyAnswer,
    Outcome,
    Silence,
    classify,
    go_wrong,
    is_market_data,
    misbehave,
    plain,
)
from workers.exchange.refusals import RequestRefused, not_found, unauthorized
from workers.exchange.trading import HONEST
from workers.exchange.traffic import FREE, Toll

log = structlog.get_logger(__name__)

#: Where the server puts the connection, so that a fault can cut it.
TRANSPORT = "tradewire.transport"
_NANO = 1_000_000_000
_TOO_MANY = Reply(status=429, json={"message": "too many requests."})
_READS = frozenset({On.LOOKUP, On.LIST})
#: The trading API, and the market data about coins; shares' is below the first.
_PREFIXES = ("/v2/", "/v1beta3/")


class Gateway:
    """The ASGI application: the trading API itself, everything else is *others*'."""

    def __init__(self, *, floor: Floor, routes: Iterable[Route], others: ASGIApp) -> None:
        self._floor = floor
        self._routes = list(routes)
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIXES):
            await self._others(scope, receive, send)
            return
        body = await _read(receive)
        outcome = await self._outcome(scope, body)
        if isinstance(outcome, FaultyAnswer):
            await _send(send, outcome)
            return
        if isinstance(outcome, Silence):
            await self._floor.first_of(_gone(receive), seconds=outcome.seconds)
        _cut(scope)
        await _gone(receive)

    async def _outcome(self, scope: Scope, body: bytes) -> Outcome:
        """Do what the request asks for and say what the client gets to see."""
        try:
            route, path = self._find(scope)
            account = self._authenticate(Headers(scope=scope))
        except RequestRefused as refused:
            await self._floor.committed()
            return plain(refusal(refused))
        toll = self._toll(scope, route, account)
        if not toll.passes:
            return plain(_TOO_MANY, toll.headers)
        call = Call(
            venue=self._floor.venue, account=account, now_ns=time.time_ns(), body=body, path=path,
            query=QueryParams(scope["query_string"]),
        )  # fmt: skip
        on = classify(scope["method"], scope["path"])
        symbol = _symbol(call) if on is On.SUBMIT else None
        early = await self._before(on, account.key, symbol)
        if early is not None:
            return early
        # The account may have been reset or refused while latency was served.
        call = replace(call, now_ns=time.time_ns(), **self._behaviour(on, account.key, symbol))
        reply = _handle(route.endpoint, call)
        await self._floor.committed()
        if reply.status < 400:  # noqa: PLR2004 - the request took effect
            late = self._floor.faults.strike(on, account.key, AFTER, symbol)
            if late:
                return go_wrong(late[0])
        return plain(reply, toll.headers)

    def _toll(self, scope: Scope, route: Route, account: ExchangeAccount) -> Toll:
        """Count a request of the trading API; market data has a limit of its own, which is never met here."""
        if is_market_data(scope["path"]):
            return FREE
        return self._floor.traffic.arrive(account.key, f"{scope['method']} {route.path}", time.time_ns())

    async def _before(self, on: On, key: str, symbol: str | None) -> Outcome | None:
        struck = self._floor.faults.strike(on, key, BEFORE | {FaultKind.LATENCY}, symbol)
        latency = sum(fault.lasts_s for fault in struck if fault.kind is FaultKind.LATENCY)
        if latency:
            await self._floor.first_of(seconds=latency)
        return next((go_wrong(fault) for fault in struck if fault.kind is not FaultKind.LATENCY), None)

    def _behaviour(self, on: On, key: str, symbol: str | None) -> dict[str, Any]:
        """Return what injected faults make of a read, or of an order."""
        faults, now_ns = self._floor.faults, time.time_ns()
        if on in _READS:
            lags = faults.strike(on, key, {FaultKind.LAGGING_READS}, symbol)
            return {"horizon_ns": now_ns - int(lags[0].lasts_s * _NANO)} if lags else {}
        if on is not On.SUBMIT:
            return {}
        behaviour = HONEST
        for fault in faults.strike(on, key, OF_ORDERS, symbol):
            behaviour = misbehave(behaviour, fault)
        return {"behaviour": behaviour}

    def _find(self, scope: Scope) -> tuple[Route, dict[str, Any]]:
        known = False
        for route in self._routes:
            matched, found = route.matches(scope)
            if matched is Match.FULL:
                return route, found["path_params"]
            known = known or matched is Match.PARTIAL
        if known:
            raise RequestRefused(405, "method not allowed", 40510000)
        raise not_found("endpoint not found")

    def _authenticate(self, headers: Headers) -> ExchangeAccount:
        key, secret = headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")
        if not key or not secret:
            raise unauthorized()
        account = self._floor.venue.authenticate(key, secret, time.time_ns())
        if account is None:
            raise unauthorized()
        return account


def _handle(handler: Handler, call: Call) -> Reply:
    try:
        return handler(call)
    except RequestRefused as refused:
        return refusal(refused)
    except Exception:
        log.exception("request.failed", account=call.account.number)
        return Reply(status=500, json={"code": 50010000, "message": "internal server error occurred"})


def _symbol(call: Call) -> str | None:
    try:
        symbol = call.json.get("symbol")
    except RequestRefused:
        return None
    return symbol if isinstance(symbol, str) else None


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _send(send: Send, answer: FaultyAnswer) -> None:
    headers = [(b"content-length", str(len(answer.body)).encode()), *answer.headers]
    if answer.body:
        headers.append((b"content-type", answer.content_type))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _gone(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _cut(scope: Scope) -> None:
    transport = scope.get(TRANSPORT)
    if transport is not None:
        transport.abort()
