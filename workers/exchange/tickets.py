"""Read the body of an order request, and refuse parameters that are wrong for every account."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from pipeline.model.nesting import is_too_deep
from workers.exchange.orders import ExchangeSide, OrderClass, OrderType, TimeInForce
from workers.exchange.refusals import BAD_REQUEST, RequestRefused, bad_parameter, plain, rule

_LONGEST_CLIENT_ORDER_ID = 128
_MOST_DECIMALS = 9
#: The most digits before the point. With these, sums and products keep their cents within the 28 digits of a `Decimal`.
_MOST_DIGITS = 12
_LEAST_EXPONENT = -18
CENT = Decimal("0.01")
_SUB_DOLLAR_TICK = Decimal("0.0001")
_INTENTS = frozenset({"buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"})
_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """An order request whose parameters fit together. The account may still not be allowed to place it."""

    #: As it was written. `AssetList.find` returns its asset.
    symbol: str
    side: ExchangeSide
    type: OrderType
    time_in_force: TimeInForce
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str | None = None
    order_class: OrderClass = OrderClass.SIMPLE
    position_intent: str | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    stop_loss_limit: Decimal | None = None


def read_json(body: bytes | str) -> dict[str, Any]:
    """Return the JSON object in *body*, with fractions as `Decimal`; refuse anything else."""
    try:
        found = json.loads(body or b"{}", parse_float=Decimal, parse_constant=_no_constant)
        found = None if is_too_deep(found) else found
        # JSON can contain half of a surrogate pair, which cannot be written to an answer or to the journal.
        json.dumps(found, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RequestRefused(400, "request body format is invalid", BAD_REQUEST)
    return found


def read_ticket(body: Mapping[str, Any]) -> Ticket:
    """Return the order that *body* asks for, or refuse its first wrong parameter."""
    take_profit, stop_loss = _part(body, "take_profit"), _part(body, "stop_loss")
    ticket = Ticket(
        symbol=_text(body, "symbol"),
        side=_word(ExchangeSide, body.get("side"), "side"),
        type=_word(OrderType, body.get("type"), "order type"),
        time_in_force=_word(TimeInForce, body.get("time_in_force"), "time_in_force"),
        qty=number(body, "qty"),
        notional=number(body, "notional"),
        limit_price=number(body, "limit_price"),
        stop_price=number(body, "stop_price"),
        trail_price=number(body, "trail_price"),
        trail_percent=number(body, "trail_percent"),
        extended_hours=body.get("extended_hours") is True,
        client_order_id=client_id(body),
        order_class=_word(OrderClass, body.get("order_class") or "", "order_class"),
        position_intent=_intent(body),
        take_profit=number(take_profit, "limit_price", "take_profit."),
        stop_loss=number(stop_loss, "stop_price", "stop_loss."),
        stop_loss_limit=number(stop_loss, "limit_price", "stop_loss."),
    )
    _check_size(ticket)
    _check_prices(ticket)
    return ticket


def number(body: Mapping[str, Any], name: str, prefix: str = "") -> Decimal | None:
    """Return the number *name* of *body*, which may be written as text; None when absent. Refuse anything else."""
    value = body.get(name)
    if value is None or value == "":
        return None
    try:
        found = Decimal(value if isinstance(value, str | int | Decimal) else "nan")
    except InvalidOperation:
        raise bad_parameter(f"invalid {prefix}{name}") from None
    # `Decimal` alone would also accept 1_000, and the digits of other alphabets.
    written = isinstance(value, str) and (not value.isascii() or "_" in value)
    if written or isinstance(value, bool) or not _is_bounded(found):
        raise bad_parameter(f"invalid {prefix}{name}")
    return found


def client_id(body: Mapping[str, Any]) -> str | None:
    """Return the caller's own id for the order; None when there is none. Refuse one that is not text or is too long."""
    value = body.get("client_order_id")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise bad_parameter("invalid client_order_id")
    if len(value) > _LONGEST_CLIENT_ORDER_ID:
        raise bad_parameter(f"client_order_id must be no more than {_LONGEST_CLIENT_ORDER_ID} characters")
    return value


def check_increment(price: Decimal | None, name: str, *, step: Decimal | None) -> None:
    """Refuse a price that is not a multiple of *step*. None means a cent, or 0.01 cents for a price below a dollar."""
    if price is None:
        return
    if not is_multiple(price, step or (CENT if price >= 1 else _SUB_DOLLAR_TICK)):
        detail = "sub-penny increment does not fulfill minimum pricing criteria"
        raise rule(f"invalid {name} {plain(price)}. {detail}")


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Return whether *value* is a whole number of steps."""
    return not value % step


def decimals(value: Decimal) -> int:
    """Return how many decimals *value* needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def _is_bounded(value: Decimal) -> bool:
    """Return whether *value* is a number of a size that the exchange can calculate with."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= _LEAST_EXPONENT and value.adjusted() < _MOST_DIGITS


def _check_size(ticket: Ticket) -> None:
    if ticket.qty is None and ticket.notional is None:
        raise bad_parameter("qty or notional is required")
    if ticket.qty is not None and ticket.notional is not None:
        raise bad_parameter("only one of qty or notional is accepted")
    if ticket.qty is not None:
        if ticket.qty <= 0:
            raise bad_parameter("qty must be > 0")
        if decimals(ticket.qty) > _MOST_DECIMALS:
            raise bad_parameter(f"qty must be limited to {_MOST_DECIMALS} decimal places")
    if ticket.notional is not None:
        if ticket.notional < 1:
            raise bad_parameter("notional amount must be >= 1.00")
        if decimals(ticket.notional) > 2:  # noqa: PLR2004 - cents
            raise rule("notional value must be limited to 2 decimal places")


def _check_prices(ticket: Ticket) -> None:
    limited, stopped = ticket.type in _LIMITED, ticket.type in _STOPPED
    for price, name in ((ticket.limit_price, "limit price"), (ticket.stop_price, "stop price")):
        if price is not None and price <= 0:
            raise bad_parameter(f"{name} must be > 0")
    if ticket.type is OrderType.STOP_LIMIT and (ticket.limit_price is None or ticket.stop_price is None):
        raise bad_parameter("stop limit orders require both stop and limit price")
    # The limit price of an OCO is its take-profit.
    if limited and ticket.limit_price is None and ticket.order_class is not OrderClass.OCO:
        raise bad_parameter("limit orders require only limit price")
    if stopped and ticket.stop_price is None:
        raise bad_parameter("stop orders require a stop price")
    if ticket.type is OrderType.MARKET and (ticket.limit_price or ticket.stop_price):
        raise bad_parameter("market orders require no stop or limit price")
    if ticket.type is OrderType.LIMIT and ticket.stop_price:
        raise bad_parameter("limit orders require only limit price")
    if ticket.type is OrderType.STOP and ticket.limit_price:
        raise bad_parameter("stop orders require no limit price")
    trailing = [trail for trail in (ticket.trail_price, ticket.trail_percent) if trail is not None]
    if ticket.type is OrderType.TRAILING_STOP and (len(trailing) != 1 or trailing[0] <= 0):
        raise bad_parameter("trailing stop orders must specify one of trail_price or trail_percent")


def _intent(body: Mapping[str, Any]) -> str | None:
    value = body.get("position_intent")
    if value is None or value == "":
        return None
    if value not in _INTENTS:
        raise bad_parameter("invalid position_intent")
    return str(value)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise bad_parameter(f"{name} is required")
    return value


def _word(kind: type[_Word], value: Any, name: str) -> _Word:
    if kind is OrderClass and value == "simple":
        value = ""
    try:
        return kind(value)
    except ValueError:
        raise bad_parameter(f"invalid {name}") from None


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_parameter(f"invalid {name}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)
