"""Answer `/v2/account`, its configurations, and `/v2/positions`."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from starlette.routing import Route

from workers.exchange.accounts import CONFIGURATIONS, QUANTUM, ExchangePosition
from workers.exchange.calls import Call, Reply
from workers.exchange.refusals import BAD_PARAMETER, RequestRefused, bad_parameter, not_found
from workers.exchange.routes_orders import cancel_open
from workers.exchange.settlement import settle_cancels
from workers.exchange.tickets import number
from workers.exchange.trading import close_position
from workers.exchange.wire import account_json, position_json

_MARGIN_MULTIPLIERS = ("1", "2", "4")


def account(call: Call) -> Reply:
    """`GET /v2/account`."""
    return Reply(json=account_json(call.account, call.venue.totals(call.account), call.now_ns))


def configurations(call: Call) -> Reply:
    """`GET /v2/account/configurations`."""
    return Reply(json=call.account.configurations)


def configure(call: Call) -> Reply:
    """`PATCH /v2/account/configurations`."""
    changes = {name: value for name, value in call.json.items() if name in CONFIGURATIONS}
    for name, value in changes.items():
        if type(value) is not type(CONFIGURATIONS[name]):
            raise bad_parameter(f"invalid {name}")
    if changes.get("max_margin_multiplier", "1") not in _MARGIN_MULTIPLIERS:
        raise bad_parameter("invalid max_margin_multiplier")
    call.account.configurations |= changes
    call.venue.changes.accounts[call.account.key] = call.account
    return Reply(json=call.account.configurations)


def positions(call: Call) -> Reply:
    """`GET /v2/positions`."""
    held = sorted(call.account.positions.values(), key=lambda each: each.symbol)
    return Reply(json=[_position(call, each) for each in held])


def position(call: Call) -> Reply:
    """`GET /v2/positions/{symbol}`."""
    return Reply(json=_position(call, _held(call)))


def close_one(call: Call) -> Reply:
    """`DELETE /v2/positions/{symbol}`: close *qty* or *percentage* of the position, or without both all of it."""
    held = _held(call)
    qty, percentage = number(call.query, "qty"), number(call.query, "percentage")
    if qty is not None and percentage is not None:
        raise RequestRefused(400, "only one of qty or percentage is accepted", BAD_PARAMETER)
    if percentage is not None:
        if not 0 < percentage <= 100:  # noqa: PLR2004 - per cent
            raise bad_parameter("percentage must be between 0 and 100")
        qty = (abs(held.qty) * percentage / 100).quantize(QUANTUM, ROUND_DOWN)
    order = close_position(call.venue, call.account, held.symbol, qty, call.now_ns)
    return Reply(json=call.venue.order_json(order))


def close_all(call: Call) -> Reply:
    """`DELETE /v2/positions`. With *cancel_orders*, the open orders are canceled first."""
    if call.query.get("cancel_orders", "").lower() == "true":
        # A pending cancel still holds its quantity back, so the cancels are finished before the positions are closed.
        cancel_open(call)
        settle_cancels(call.venue, call.account, call.now_ns)
    found: list[dict[str, Any]] = []
    for held in sorted(call.account.positions.values(), key=lambda each: each.symbol):
        shown = held.symbol.replace("/", "")
        try:
            order = close_position(call.venue, call.account, held.symbol, None, call.now_ns)
        except RequestRefused as refused:
            found.append({"symbol": shown, "status": refused.status, "body": refused.body})
        else:
            found.append({"symbol": shown, "status": 200, "body": call.venue.order_json(order)})
    return Reply(status=207, json=found)


def _held(call: Call) -> ExchangePosition:
    asset = call.venue.assets.known(call.path["symbol"])
    if asset is None:
        raise not_found(f"symbol not found: {call.path['symbol']}")
    held = call.account.positions.get(asset.symbol)
    if held is None:
        raise not_found("position does not exist")
    return held


def _position(call: Call, held: ExchangePosition) -> dict[str, Any]:
    asset = call.venue.assets.known(held.symbol)
    if asset is None:
        raise not_found(f"symbol not found: {held.symbol}")
    price = call.venue.price(held.symbol) or Decimal(held.average)
    return position_json(call.account, held, asset, price=price, previous=call.venue.previous.get(held.symbol, price))


ROUTES = [
    Route("/v2/account", account, methods=["GET"]),
    Route("/v2/account/configurations", configurations, methods=["GET"]),
    Route("/v2/account/configurations", configure, methods=["PATCH"]),
    Route("/v2/positions", positions, methods=["GET"]),
    Route("/v2/positions", close_all, methods=["DELETE"]),
    Route("/v2/positions/{symbol:path}", position, methods=["GET"]),
    Route("/v2/positions/{symbol:path}", close_one, methods=["DELETE"]),
]
