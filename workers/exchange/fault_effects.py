"""Map injected faults to what the client sees, and requests to the targets of faults."""

from dataclasses import dataclass, replace

from workers.exchange.calls import Reply
from workers.exchange.faults import Fault, FaultKind, FaultTarget
from workers.exchange.refusals import BUSINESS_RULE, NOT_ALLOWED
from workers.exchange.trading import OrderFaults

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_GARBAGE = b'{"id": "61e69015-8549-4bfd-b9c3-01e7584'
_JSON = b"application/json; charset=UTF-8"


@dataclass(frozen=True, kw_only=True)
class RawAnswer:
    """An HTTP answer with its body as bytes, which may be invalid on purpose."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Silence:
    """No answer for some seconds, and then the connection is closed."""

    seconds: float


class Disconnect:
    """The connection is closed without an answer."""


Outcome = RawAnswer | Silence | Disconnect


def classify(method: str, path: str) -> FaultTarget:
    """Return the fault target to which a request belongs."""
    if is_market_data(path):
        return FaultTarget.PRICES
    if path.startswith("/v2/orders"):
        if method == "GET":
            return FaultTarget.LIST if path == "/v2/orders" else FaultTarget.LOOKUP
        return {"POST": FaultTarget.SUBMIT, "PATCH": FaultTarget.REPLACE}.get(method, FaultTarget.CANCEL)
    for prefix, on in (
        ("/v2/positions", FaultTarget.POSITIONS),
        ("/v2/account/activities", FaultTarget.ACTIVITIES),
        ("/v2/account", FaultTarget.ACCOUNT),
        ("/v2/assets", FaultTarget.ASSETS),
    ):
        if path.startswith(prefix):
            return on
    return FaultTarget.CLOCK


def is_market_data(path: str) -> bool:
    """Return whether a request is for market data, which this exchange serves at the address of the trading API."""
    return path.startswith(("/v2/stocks/", "/v1beta3/"))


def with_fault(faults: OrderFaults, fault: Fault) -> OrderFaults:
    """Return the faults of an order with *fault* added."""
    if fault.kind is FaultKind.PARTIAL_FILL:
        return replace(faults, part_then_s=fault.lasts_s)
    if fault.kind is FaultKind.NO_FILL:
        return replace(faults, no_fill_s=fault.lasts_s)
    return replace(faults, reject_later=True)


def outcome_of(fault: Fault) -> Outcome:
    """Return what the client sees of *fault*."""
    match fault.kind:
        case FaultKind.DROP_BEFORE | FaultKind.DROP_AFTER:
            return Disconnect()
        case FaultKind.SILENCE_BEFORE | FaultKind.SILENCE_AFTER:
            return Silence(fault.lasts_s)
        case FaultKind.GARBAGE | FaultKind.GARBAGE_BEFORE:
            return RawAnswer(status=200, body=_GARBAGE)
        case FaultKind.HTML:
            return RawAnswer(status=fault.status or 502, body=_HTML, content_type=b"text/html")
    return answer_of(_refuse(fault))


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


def answer_of(reply: Reply, headers: tuple[tuple[bytes, bytes], ...] = ()) -> RawAnswer:
    """Return *reply* as an HTTP answer."""
    return RawAnswer(status=reply.status, body=reply.encode(), headers=headers)
