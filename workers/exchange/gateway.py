"""Stand before the trading API: say who calls, go wrong where a fault says so, answer once it is written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.exchange.accounts import Account
from workers.exchange.calls import Call, Handler, Reply, refusal
from workers.exchange.faults import AFTER, BEFORE, OF_ORDERS, Fault, Kind, On
from workers.exchange.floor import Floor
from workers.exchange.refusals import BUSINESS_RULE, NOT_ALLOWED, Refused, not_found, unauthorized
from workers.exchange.trading import HONEST, Behaviour

log = structlog.get_logger(__name__)

#: Where the server puts the connection, so that a fault can cut it.
TRANSPORT = "tradewire.transport"
_NANO = 1_000_000_000
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_GARBAGE = b'{"id": "61e69015-8549-4bfd-b9c3-01e7584'
_JSON = b"application/json; charset=UTF-8"
_READS = frozenset({On.LOOKUP, On.LIST})


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    body: bytes
    content_type: bytes = _JSON


@dataclass(frozen=True)
class _Silence:
    seconds: float


class _Cut:
    """The connection is closed without an answer."""


_Outcome = _Answer | _Silence | _Cut


class Gateway:
    """The ASGI application: the trading API itself, everything else is *others*'."""

    def __init__(self, *, floor: Floor, routes: Iterable[Route], others: ASGIApp) -> None:
        self._floor = floor
        self._routes = list(routes)
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v2/"):
            await self._others(scope, receive, send)
            return
        body = await _read(receive)
        outcome = await self._outcome(scope, body)
        if isinstance(outcome, _Answer):
            await _send(send, outcome)
            return
        if isinstance(outcome, _Silence):
            await self._floor.first_of(_gone(receive), seconds=outcome.seconds)
        _cut(scope)
        await _gone(receive)

    async def _outcome(self, scope: Scope, body: bytes) -> _Outcome:
        """Do what the request asks for and say what the client gets to see."""
        try:
            handler, path = self._find(scope)
            account = self._authenticate(Headers(scope=scope))
        except Refused as refused:
            await self._floor.committed()
            return _plain(refusal(refused))
        call = Call(
            venue=self._floor.venue, account=account, now_ns=time.time_ns(), body=body, path=path,
            query=QueryParams(scope["query_string"]),
        )  # fmt: skip
        on = _classify(scope["method"], scope["path"])
        symbol = _symbol(call) if on is On.SUBMIT else None
        early = await self._before(on, account.key, symbol)
        if early is not None:
            return early
        # The account may have been reset or refused while latency was served.
        call = replace(call, now_ns=time.time_ns(), **self._behaviour(on, account.key, symbol))
        reply = _handle(handler, call)
        await self._floor.committed()
        if reply.status < 400:  # noqa: PLR2004 - the request took effect
            late = self._floor.faults.strike(on, account.key, AFTER, symbol)
            if late:
                return _go_wrong(late[0])
        return _plain(reply)

    async def _before(self, on: On, key: str, symbol: str | None) -> _Outcome | None:
        struck = self._floor.faults.strike(on, key, BEFORE | {Kind.LATENCY}, symbol)
        latency = sum(fault.lasts_s for fault in struck if fault.kind is Kind.LATENCY)
        if latency:
            await self._floor.first_of(seconds=latency)
        return next((_go_wrong(fault) for fault in struck if fault.kind is not Kind.LATENCY), None)

    def _behaviour(self, on: On, key: str, symbol: str | None) -> dict[str, Any]:
        """Return what injected faults make of a read, or of an order."""
        faults, now_ns = self._floor.faults, time.time_ns()
        if on in _READS:
            lags = faults.strike(on, key, {Kind.LAGGING_READS}, symbol)
            return {"horizon_ns": now_ns - int(lags[0].lasts_s * _NANO)} if lags else {}
        if on is not On.SUBMIT:
            return {}
        behaviour = HONEST
        for fault in faults.strike(on, key, OF_ORDERS, symbol):
            behaviour = _misbehave(behaviour, fault)
        return {"behaviour": behaviour}

    def _find(self, scope: Scope) -> tuple[Handler, dict[str, Any]]:
        known = False
        for route in self._routes:
            matched, found = route.matches(scope)
            if matched is Match.FULL:
                return found["endpoint"], found["path_params"]
            known = known or matched is Match.PARTIAL
        if known:
            raise Refused(405, "method not allowed", 40510000)
        raise not_found("endpoint not found")

    def _authenticate(self, headers: Headers) -> Account:
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
    except Refused as refused:
        return refusal(refused)
    except Exception:
        log.exception("request.failed", account=call.account.number)
        return Reply(status=500, json={"code": 50010000, "message": "internal server error occurred"})


def _classify(method: str, path: str) -> On:
    """Return what kind of request this is, in the words of faults."""
    if path.startswith("/v2/orders"):
        if method == "GET":
            return On.LIST if path == "/v2/orders" else On.LOOKUP
        return {"POST": On.SUBMIT, "PATCH": On.REPLACE}.get(method, On.CANCEL)
    for prefix, on in (
        ("/v2/positions", On.POSITIONS),
        ("/v2/account/activities", On.ACTIVITIES),
        ("/v2/account", On.ACCOUNT),
        ("/v2/assets", On.ASSETS),
    ):
        if path.startswith(prefix):
            return on
    return On.CLOCK


def _symbol(call: Call) -> str | None:
    try:
        symbol = call.json.get("symbol")
    except Refused:
        return None
    return symbol if isinstance(symbol, str) else None


def _misbehave(behaviour: Behaviour, fault: Fault) -> Behaviour:
    if fault.kind is Kind.PARTIAL_FILL:
        return replace(behaviour, part_then_s=fault.lasts_s)
    if fault.kind is Kind.NO_FILL:
        return replace(behaviour, no_fill_s=fault.lasts_s)
    return replace(behaviour, reject_later=True)


def _go_wrong(fault: Fault) -> _Outcome:
    """Return what the client sees of *fault*."""
    match fault.kind:
        case Kind.DROP_BEFORE | Kind.DROP_AFTER:
            return _Cut()
        case Kind.SILENCE_BEFORE | Kind.SILENCE_AFTER:
            return _Silence(fault.lasts_s)
        case Kind.GARBAGE | Kind.GARBAGE_BEFORE:
            return _Answer(status=200, body=_GARBAGE)
        case Kind.HTML:
            return _Answer(status=fault.status or 502, body=_HTML, content_type=b"text/html")
    return _plain(_refuse(fault))


def _refuse(fault: Fault) -> Reply:
    status, message = fault.status or 503, fault.message
    match fault.kind:
        case Kind.RATE_LIMITED:
            return Reply(status=429, json={"message": message or "too many requests."})
        case Kind.UNAUTHORIZED:
            return Reply(status=401, json={"message": message or "unauthorized."})
        case Kind.FORBIDDEN_ACCOUNT:
            body = {"code": NOT_ALLOWED, "message": message or "account is not authorized to trade"}
            return Reply(status=403, json=body)
        case Kind.REJECT:
            code = NOT_ALLOWED if status == 403 else BUSINESS_RULE  # noqa: PLR2004 - the status
            return Reply(status=status, json={"code": code, "message": message or "order rejected"})
    code = status * 100_000 + 10_000
    return Reply(status=status, json={"code": code, "message": message or "internal server error occurred"})


def _plain(reply: Reply) -> _Answer:
    return _Answer(status=reply.status, body=reply.encode())


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _send(send: Send, answer: _Answer) -> None:
    headers = [(b"content-length", str(len(answer.body)).encode())]
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
