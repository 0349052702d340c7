"""Serve the trading API: authenticate, apply injected faults, and answer after the changes are committed."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import structlog
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.model.errors import NotPossible
from pipeline.model.symbols import canonical_where_known
from workers.exchange.accounts import ExchangeAccount
from workers.exchange.calls import Call, Handler, Reply, refusal
from workers.exchange.fault_effects import (
    Disconnect,
    Outcome,
    RawAnswer,
    Silence,
    answer_of,
    classify,
    is_market_data,
    outcome_of,
    with_fault,
)
from workers.exchange.faults import AFTER, BEFORE, OF_ORDERS, FaultKind, FaultTarget
from workers.exchange.refusals import RequestRefused, not_found, unauthorized
from workers.exchange.runtime import ExchangeRuntime
from workers.exchange.trading import NO_FAULTS
from workers.exchange.traffic import UNLIMITED, RateDecision

log = structlog.get_logger(__name__)

#: The scope's key for the connection, which an injected fault may close.
TRANSPORT = "tradewire.transport"
_NANO = 1_000_000_000
_TOO_MANY = Reply(status=429, json={"message": "too many requests."})
_READS = frozenset({FaultTarget.LOOKUP, FaultTarget.LIST})
#: `/v2/`: the trading API and the market data of shares; `/v3/`: clocks and calendars; `/v1beta3/`: data of coins.
_PREFIXES = ("/v2/", "/v3/", "/v1beta3/")


class Gateway:
    """The ASGI application. It serves the trading API and market data, and passes every other request to *others*."""

    def __init__(self, *, runtime: ExchangeRuntime, routes: Iterable[Route], others: ASGIApp) -> None:
        self._runtime = runtime
        self._routes = list(routes)
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIXES):
            await self._others(scope, receive, send)
            return
        body = await _read(receive)
        try:
            outcome = await self._outcome(scope, body)
        except NotPossible:
            # The journal cannot be written: send no answer, because the answer might not be true after a restart.
            outcome = Disconnect()
        if isinstance(outcome, RawAnswer):
            await _send(send, outcome)
            return
        if isinstance(outcome, Silence):
            await self._runtime.wait_for_first(_disconnected(receive), seconds=outcome.seconds)
        _close_connection(scope)
        await _disconnected(receive)

    async def _outcome(self, scope: Scope, body: bytes) -> Outcome:
        """Carry the request out and return what the client sees of it."""
        try:
            route, path = self._find(scope)
            account = self._authenticate(Headers(scope=scope))
        except RequestRefused as refused:
            # The login may have opened the account. This is also written before the answer.
            await self._runtime.committed()
            key = Headers(scope=scope).get("apca-api-key-id", "")
            return answer_of(refusal(refused), self._runtime.traffic.headers(key, time.time_ns()))
        decision = self._count(scope, route, account)
        if not decision.passes:
            return answer_of(_TOO_MANY, decision.headers)
        call = Call(
            venue=self._runtime.venue, account=account, now_ns=time.time_ns(), body=body, path=path,
            query=QueryParams(scope["query_string"]),
        )  # fmt: skip
        on = classify(scope["method"], scope["path"])
        symbol = _symbol(call) if on is FaultTarget.SUBMIT else None
        early = await self._before(on, account.key, symbol)
        if early is not None:
            return early
        # After an injected latency, the request takes effect only now.
        call = replace(call, now_ns=time.time_ns(), **self._faults_of_call(on, account.key, symbol))
        reply = _handle(route.endpoint, call)
        await self._runtime.committed()
        if reply.status < 400:  # noqa: PLR2004 - the request took effect
            late = self._runtime.faults.draw(on, account.key, AFTER, symbol)
            if late:
                return outcome_of(late[0])
        return answer_of(reply, decision.headers)

    def _count(self, scope: Scope, route: Route, account: ExchangeAccount) -> RateDecision:
        """Count a request of the trading API, and decide on it. Requests for market data are not counted or limited."""
        if is_market_data(scope["path"]):
            return UNLIMITED
        return self._runtime.traffic.count(account.key, f"{scope['method']} {route.path}", time.time_ns())

    async def _before(self, on: FaultTarget, key: str, symbol: str | None) -> Outcome | None:
        drawn = self._runtime.faults.draw(on, key, BEFORE | {FaultKind.LATENCY}, symbol)
        latency = sum(fault.lasts_s for fault in drawn if fault.kind is FaultKind.LATENCY)
        if latency:
            await self._runtime.wait_for_first(seconds=latency)
        return next((outcome_of(fault) for fault in drawn if fault.kind is not FaultKind.LATENCY), None)

    def _faults_of_call(self, on: FaultTarget, key: str, symbol: str | None) -> dict[str, Any]:
        """Return the fields of a call that injected faults change: what a read sees, or how an order behaves."""
        faults, now_ns = self._runtime.faults, time.time_ns()
        if on in _READS:
            lags = faults.draw(on, key, {FaultKind.LAGGING_READS}, symbol)
            return {"horizon_ns": now_ns - int(lags[0].lasts_s * _NANO)} if lags else {}
        if on is not FaultTarget.SUBMIT:
            return {}
        faults_of_order = NO_FAULTS
        for fault in faults.draw(on, key, OF_ORDERS, symbol):
            faults_of_order = with_fault(faults_of_order, fault)
        return {"faults_of_order": faults_of_order}

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
        account = self._runtime.venue.authenticate(key, secret, time.time_ns())
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
    """Return the canonical symbol of an order, so that a fault can affect one symbol; None without a symbol."""
    try:
        symbol = call.json.get("symbol")
    except RequestRefused:
        return None
    return canonical_where_known(symbol) if isinstance(symbol, str) else None


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def _send(send: Send, answer: RawAnswer) -> None:
    request_id = (b"x-request-id", uuid.uuid4().hex.encode())
    headers = [(b"content-length", str(len(answer.body)).encode()), request_id, *answer.headers]
    if answer.body:
        headers.append((b"content-type", answer.content_type))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _disconnected(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _close_connection(scope: Scope) -> None:
    transport = scope.get(TRANSPORT)
    if transport is not None:
        transport.abort()
