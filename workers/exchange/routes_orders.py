"""Answer `/v2/orders`."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter

from starlette.routing import Route

from workers.exchange.calls import Call, Reply
from workers.exchange.orders import ExchangeOrder
from workers.exchange.refusals import RequestRefused, bad_parameter, not_found
from workers.exchange.trading import cancel, replace_order, submit

_DEFAULT_LIMIT = 50
_MOST = 500
_NANO = 1_000_000_000
_FRACTION = re.compile(r"\.(\d{1,9})")
_SUBMITTED = attrgetter("submitted_ns")


def place(call: Call) -> Reply:
    """`POST /v2/orders`."""
    order = submit(call.venue, call.account, call.json, call.now_ns, call.faults_of_order)
    return Reply(json=call.venue.order_json(order, nested=True))


def list_orders(call: Call) -> Reply:
    """`GET /v2/orders` with all its filters."""
    limit = integer(call, "limit", _DEFAULT_LIMIT, _MOST)
    nested = call.query.get("nested", "").lower() == "true"
    chosen = islice((order for order in _candidates(call) if _matches(call, order, nested=nested)), limit)
    return Reply(json=[call.venue.order_json(order, nested=nested) for order in chosen])


def by_id(call: Call) -> Reply:
    """`GET /v2/orders/{order_id}`."""
    order = call.venue.order(call.account, call.path["order_id"])
    if not _visible(call, order):
        raise not_found(f"order not found for {order.id}")
    return Reply(json=call.venue.order_json(order, nested=True))


def by_client_id(call: Call) -> Reply:
    """`GET /v2/orders:by_client_order_id`."""
    client_order_id = call.query.get("client_order_id", "")
    order = call.account.by_client_id.get(client_order_id)
    if order is None or not _visible(call, order):
        raise not_found(f"order not found for {client_order_id}")
    return Reply(json=call.venue.order_json(order, nested=True))


def replace_one(call: Call) -> Reply:
    """`PATCH /v2/orders/{order_id}`."""
    order = call.venue.order(call.account, call.path["order_id"])
    new = replace_order(call.venue, call.account, order, call.json, call.now_ns)
    return Reply(json=call.venue.order_json(new, nested=True))


def cancel_one(call: Call) -> Reply:
    """`DELETE /v2/orders/{order_id}`."""
    cancel(call.venue, call.venue.order(call.account, call.path["order_id"]), call.now_ns)
    return Reply(status=204)


def cancel_all(call: Call) -> Reply:
    """`DELETE /v2/orders`."""
    return Reply(status=207, json=cancel_open(call))


def cancel_open(call: Call) -> list[dict[str, object]]:
    """Cancel every open order and return the result for each."""
    found: list[dict[str, object]] = []
    for order in call.account.open_orders():
        try:
            cancel(call.venue, order, call.now_ns)
        except RequestRefused as refused:
            found.append({"id": order.id, "status": refused.status, "body": refused.body})
        else:
            found.append({"id": order.id, "status": 200})
    return found


def moment(call: Call, name: str) -> int | None:
    """Return the time of a query parameter in nanoseconds; None when it is absent. Refuse what is not a time."""
    text = call.query.get(name)
    if not text:
        return None
    # `datetime` has only microseconds, but a page must begin exactly after the last order of the previous page.
    whole, fraction = _FRACTION.sub("", text, count=1), _FRACTION.search(text)
    try:
        at = datetime.fromisoformat(whole.replace(" ", "+"))
    except ValueError:
        raise bad_parameter(f"invalid {name}") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return int(at.timestamp()) * _NANO + (int(fraction[1].ljust(9, "0")[:9]) if fraction else 0)


def integer(call: Call, name: str, default: int, most: int) -> int:
    """Return the number of rows that a query parameter asks for, or *default* when it is absent.

    A number outside 1 to *most* is refused.
    """
    text = call.query.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
        raise bad_parameter(f"{name} must be between 1 and {most}")
    return int(text)


def _candidates(call: Call) -> Iterator[ExchangeOrder]:
    """Yield the account's orders within the requested period, in the requested direction."""
    status = call.query.get("status") or "open"
    if status not in {"open", "closed", "all"}:
        raise bad_parameter("invalid status")
    orders = call.account.open_orders() if status == "open" else call.account.orders
    first, last = 0, len(orders)
    after, until = moment(call, "after"), moment(call, "until")
    if after is not None:
        first = bisect_right(orders, after, key=_SUBMITTED)
    if until is not None:
        last = bisect_left(orders, until, key=_SUBMITTED)
    newer, older = call.query.get("after_order_id"), call.query.get("before_order_id")
    if newer:
        first = max(first, bisect_right(orders, call.venue.order(call.account, newer).submitted_ns, key=_SUBMITTED))
    if older:
        last = min(last, bisect_left(orders, call.venue.order(call.account, older).submitted_ns, key=_SUBMITTED))
    indexes = range(first, last)
    if call.query.get("direction", "desc") == "desc":
        indexes = indexes[::-1]
    return (orders[index] for index in indexes)


def _matches(call: Call, order: ExchangeOrder, *, nested: bool) -> bool:
    query = call.query
    if query.get("status") == "closed" and order.is_open:
        return False
    if nested and order.parent is not None:
        return False
    if query.get("side") and order.side != query["side"]:
        return False
    classes = query.get("asset_class", "").split(",")
    if classes != [""] and not {"all", "crypto" if order.is_crypto else "us_equity"} & set(classes):
        return False
    symbols = query.get("symbols")
    if symbols and order.symbol not in symbols.split(",") and order.symbol.replace("/", "") not in symbols.split(","):
        return False
    return _visible(call, order)


def _visible(call: Call, order: ExchangeOrder) -> bool:
    return call.horizon_ns is None or order.submitted_ns <= call.horizon_ns


ROUTES = [
    Route("/v2/orders", place, methods=["POST"]),
    Route("/v2/orders:by_client_order_id", by_client_id, methods=["GET"]),
    Route("/v2/orders", list_orders, methods=["GET"]),
    Route("/v2/orders", cancel_all, methods=["DELETE"]),
    Route("/v2/orders/{order_id}", by_id, methods=["GET"]),
    Route("/v2/orders/{order_id}", cancel_one, methods=["DELETE"]),
    Route("/v2/orders/{order_id}", replace_one, methods=["PATCH"]),
]
