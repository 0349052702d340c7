"""Map Alpaca's HTTP answers to outcomes of sent orders, and to errors of reads.

Alpaca uses one error code for several cases and changes the codes. So the status and the message decide. The code
matters only for a 404; otherwise it is passed on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, TypeGuard, assert_never

from pipeline.model.errors import (
    BrokerFault,
    BrokerOverRate,
    BrokerRefusesAccount,
    BrokerUnavailable,
    BrokerUnreadable,
    TradewireError,
)
from pipeline.model.orders import OrderRequest
from workers.brokers.alpaca import mapping
from workers.brokers.alpaca.fields import read_json
from workers.brokers.alpaca.refusals import refusal_kind, refuses_account
from workers.brokers.alpaca.session import HttpAnswer, NoConnection, NoReply, Reply
from workers.brokers.protocol import (
    Accepted,
    Duplicate,
    NoAnswer,
    NotSent,
    NotSentCause,
    Outcome,
    Rejected,
    Unknown,
)

_ID_TAKEN: Final = re.compile(r"\A(?>.*?client[_ ]?order[_ ]?id).*(unique|duplicate|already)", re.IGNORECASE)
_INTENT_MISMATCH: Final = re.compile(r"position[_ ]intent mismatch", re.IGNORECASE)
#: A 404 from Alpaca has this code, or its message names the item. A gateway's `{"message": "Not Found"}` has neither.
_NOT_FOUND_CODE: Final = 40410000
_NOT_FOUND: Final = re.compile(r"\A(?>.*?\b(order|position|asset|symbol)\b).*(not found|does not exist)", re.IGNORECASE)
#: A message about a wrong path begins with a word such as "endpoint", or has "no" directly before that word. Elsewhere
#: the word may be a symbol: "symbol not found: URL".
_NO_SUCH_PATH: Final = re.compile(
    r"^(the |this )?(requested )?(endpoint|route|page|url|path)\b|\bno (endpoint|route|page|url)\b", re.IGNORECASE
)

#: Alpaca's command-line tool documents 409 for a repeated id; only 422 was ever observed.
_STATUSES_OF_A_TAKEN_ID: Final = frozenset({HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT})
_STATUSES_OF_A_REFUSED_ORDER: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_PASSING_STATUSES: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})

#: In characters; a longer error message is cut.
_LONGEST_MESSAGE: Final = 500


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """The body of an error: `{"code": 40310000, "message": "insufficient buying power", …}`."""

    message: str
    code: int | None
    #: The ids of the orders that the body names as blocking.
    orders: tuple[str, ...] = ()


def outcome_of(reply: Reply, request: OrderRequest) -> Outcome:
    """Return the outcome of a sent order from *reply*, the reply to *request*."""
    match reply:
        case NoConnection():
            return NotSent(cause=NotSentCause.UNREACHABLE, message=reply.message)
        case NoReply():
            return Unknown(message=reply.message)
        case HttpAnswer():
            outcome = _taken(reply, request) if is_good(reply) else _refused(reply)
            return replace(outcome, request_id=reply.request_id)
        case _:
            assert_never(reply)


def request_id_of(reply: Reply) -> str | None:
    """Return the broker's own id of the request; None when no answer came."""
    return reply.request_id if isinstance(reply, HttpAnswer) else None


def fault_of(reply: Reply) -> BrokerFault:
    """Return the error of a read that failed with *reply*."""
    fault = _fault_of(reply)
    fault.request_id = request_id_of(reply)
    return fault


def _fault_of(reply: Reply) -> BrokerFault:
    match reply:
        case NoConnection():
            return BrokerUnavailable(reply.message)
        case NoReply():
            return BrokerUnreadable(reply.message) if reply.garbled else BrokerUnavailable(reply.message)
        case HttpAnswer(status=status):
            said = _message_of(reply)
            # A read contains no order, so a 403 always concerns the account.
            if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                return BrokerRefusesAccount(said)
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                return BrokerOverRate(said, wait_s=reply.retry_after_s)
            if status in _PASSING_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return BrokerUnavailable(said)
            return BrokerUnreadable(said)
        case _:
            assert_never(reply)


def no_answer(fault: TradewireError) -> NoAnswer:
    """Return the error as a value, for look-ups, which do not raise."""
    cause: NotSentCause | None = None
    match fault:
        case BrokerOverRate():
            return NoAnswer(message=str(fault), cause=NotSentCause.RATE_LIMITED, retry_after_s=fault.wait_s)
        case BrokerUnavailable():
            cause = NotSentCause.UNREACHABLE
        case BrokerRefusesAccount():
            cause = NotSentCause.ACCOUNT_REFUSED
    return NoAnswer(message=str(fault), cause=cause)


def is_good(reply: Reply) -> TypeGuard[HttpAnswer]:
    """Return whether the broker carried out the request."""
    return isinstance(reply, HttpAnswer) and HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES


def reports_absent(reply: Reply) -> bool:
    """Return whether the broker itself reports that it has no such item.

    A 404 of a proxy, or one for a wrong base_url, is no such report.
    """
    if not isinstance(reply, HttpAnswer) or reply.status != HTTPStatus.NOT_FOUND:
        return False
    complaint = complaint_of(reply)
    return complaint is not None and _names_an_item(complaint)


def reports_not_possible(reply: Reply) -> bool:
    """Return whether *reply* to a cancel is a 422 of the broker's own: the order has ended, or its id is not valid."""
    return (
        isinstance(reply, HttpAnswer)
        and reply.status == HTTPStatus.UNPROCESSABLE_ENTITY
        and complaint_of(reply) is not None
    )


def complaint_of(answer: HttpAnswer) -> Complaint | None:
    """Read the body of an error; None when it does not have the form of Alpaca's errors."""
    try:
        body = read_json(answer.text)
    except BrokerUnreadable:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        return None
    code = body.get("code")
    is_number = isinstance(code, int) and not isinstance(code, bool)
    return Complaint(message=_clean(body["message"]), code=code if is_number else None, orders=_orders_in(body))


def _orders_in(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the orders that the body of an error names as blocking."""
    related = body.get("related_orders")
    named = [*(related if isinstance(related, list) else ()), body.get("existing_order_id")]
    return tuple(
        dict.fromkeys(each for each in named if isinstance(each, str) and each.isascii() and each.isprintable())
    )


def _taken(answer: HttpAnswer, request: OrderRequest) -> Outcome:
    try:
        order = mapping.order_from_broker(read_json(answer.text))
    except BrokerUnreadable as exc:
        return Unknown(message=str(exc))
    for name in ("client_order_id", "symbol", "side"):
        if getattr(order, name) != getattr(request, name):
            return Unknown(message=f"The broker answered with an order of another {name}.")
    return Accepted(order=order)


def _refused(answer: HttpAnswer) -> Outcome:
    said = _message_of(answer)
    complaint = complaint_of(answer)
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return NotSent(cause=NotSentCause.ACCOUNT_REFUSED, message=said)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return NotSent(cause=NotSentCause.RATE_LIMITED, message=said, retry_after_s=answer.retry_after_s)
    # Without a message from Alpaca, a proxy may have answered in its place.
    return Unknown(message=said) if complaint is None else _complained(answer.status, complaint, said)


def _complained(status: int, complaint: Complaint, said: str) -> Outcome:
    message = complaint.message
    if status in _STATUSES_OF_A_TAKEN_ID and _ID_TAKEN.search(message):
        return Duplicate(message=message)
    cause = _cause_of(status, message)
    if cause is not None:
        return NotSent(cause=cause, message=said)
    if status in _STATUSES_OF_A_REFUSED_ORDER:
        return _rejected(status, complaint)
    if status == HTTPStatus.NOT_FOUND and _names_an_item(complaint):
        return _rejected(status, complaint)
    if status == HTTPStatus.NOT_FOUND and _NO_SUCH_PATH.search(message):
        # This address accepts no orders, so base_url is wrong.
        return NotSent(cause=NotSentCause.UNREACHABLE, message=said)
    return Unknown(message=said)


def _rejected(status: int, complaint: Complaint) -> Rejected:
    message = complaint.message
    return Rejected(
        status=status,
        message=message,
        code=complaint.code,
        refusal=refusal_kind(message),
        orders=complaint.orders,
    )


def _cause_of(status: int, message: str) -> NotSentCause | None:
    """Return the cause of a refusal that is not about this order itself; None when it is about the order."""
    if status == HTTPStatus.FORBIDDEN and refuses_account(message):
        return NotSentCause.ACCOUNT_REFUSED
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and _INTENT_MISMATCH.search(message):
        return NotSentCause.POSITION_CHANGED
    return None


def _names_an_item(complaint: Complaint) -> bool:
    """Return whether a 404 is about an item that the broker does not have, and not about the path."""
    if _NO_SUCH_PATH.search(complaint.message):
        return False
    return complaint.code == _NOT_FOUND_CODE or bool(_NOT_FOUND.search(complaint.message))


def _message_of(answer: HttpAnswer) -> str:
    complaint = complaint_of(answer)
    return f"HTTP {answer.status}: {complaint.message}" if complaint else f"HTTP {answer.status}"


def _clean(message: str) -> str:
    """Return *message* in printable characters and at most `_LONGEST_MESSAGE` long, for logs and PostgreSQL."""
    return "".join(char if char.isprintable() else " " for char in message)[:_LONGEST_MESSAGE]
