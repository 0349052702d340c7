"""Say what the client sees of an injected fault, and which requests and orders a fault can hit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workers.exchange.calls import Reply
from workers.exchange.faults import Fault, FaultKind, On
from workers.exchange.refusals import BUSINESS_RULE, NOT_ALLOWED
from workers.exchange.trading import Behaviour

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_GARBAGE = b'{"id": "61e69015-8549-4bfd-b9c3-01e7584'
_JSON = b"application/json; charset=UTF-8"


@dataclass(frozen=True, kw_only=True)
class FaultyAnswer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Silence:
    """Nothing is said for a while, and then the connection is closed."""

    seconds: float


class Cut:
    """The connection is closed without an answer."""


Outcome = FaultyAnswer | Silence | Cut


def classify(method: str, path: str) -> On:
    """Return what kind of request this is, in the words of faults."""
    if is_market_data(path):
        return On.PRICES
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


def is_market_data(path: str) -> bool:
    """Tell whether this is no request of the trading API, though it is served at the same address."""
    return path.startswith(("/v2/stocks/", "/v1beta3/"))


def misbehave(behaviour: Behaviour, fault: Fault) -> Behaviour:
    """Add what *fault* does to an order."""
    if fault.kind is FaultKind.PARTIAL_FILL:
        return replace(behaviour, part_then_s=fault.lasts_s)
    if fault.kind is FaultKind.NO_FILL:
        return replace(behaviour, no_fill_s=fault.lasts_s)
    return replace(behaviour, reject_later=True)


def go_wrong(fault: Fault) -> Outcome:
    """Return what the client sees of *fault*."""
    match fault.kind:
        case FaultKind.DROP_BEFORE | FaultKind.DROP_AFTER:
            return Cut()
        case FaultKind.SILENCE_BEFORE | FaultKind.SILENCE_AFTER:
            return Silence(fault.lasts_s)
        case FaultKind.GARBAGE | FaultKind.GARBAGE_BEFORE:
            return FaultyAnswer(status=200, body=_GARBAGE)
        case FaultKind.HTML:
            return FaultyAnswer(status=fault.status or 502, body=_HTML, content_type=b"text/html")
    return plain(_refuse(fault))


def _refuse(fault: Fault) -> Reply:
    status, message = fault.status or 503, fault.message
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            return Reply(status=429, json={"message": message or "too many requests."})
        case FaultKind.UNAUTHORIZED:
            return Reply(status=401, json={"message": message or "unauthorized."})
        case FaultKind.FORBIDDEN_ACCOUNT:
            body = {"code": NOT_ALLOWED, "message": message or "account is not authorized to trade"}
            return Reply(status=403, json=body)
        case FaultKind.REJECT:
            code = NOT_ALLOWED if status == 403 else BUSINESS_RULE  # noqa: PLR2004 - the status
            return Reply(status=status, json={"code": code, "message": message or "order rejected"})
    code = status * 100_000 + 10_000
    return Reply(status=status, json={"code": code, "message": message or "internal server error occurred"})


def plain(reply: Reply, headers: tuple[tuple[bytes, bytes], ...] = ()) -> FaultyAnswer:
    """Return *reply* as it is."""
    return FaultyAnswer(status=reply.status, body=reply.encode(), headers=headers)
