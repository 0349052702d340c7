"""Build the orders of the contract suite, and wait for their results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from pipeline.model.orders import BrokerOrder, OrderRequest, OrderSide, OrderStatus
from tests import waiting
from workers.brokers.protocol import Accepted, Broker, Found

PRICE = Decimal(100)
ENDED = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
_numbers = count(1)

READS: list[Callable[[Broker], Any]] = [
    lambda broker: broker.account(),
    lambda broker: broker.clock(),
    lambda broker: broker.positions(),
    lambda broker: broker.position("AAPL"),
    lambda broker: broker.asset("AAPL"),
    lambda broker: broker.orders(status="open"),
    lambda broker: broker.calendar(date(2026, 11, 23), date(2026, 11, 27)),
    lambda broker: broker.transfers(a_minute_ago()),
    lambda broker: broker.fills(a_minute_ago()),
    lambda broker: broker.price("AAPL"),
    lambda broker: broker.price("BTC/USD"),
    lambda broker: broker.quote("AAPL"),
    lambda broker: broker.quote("BTC/USD"),
]
LOOKUPS: list[Callable[[Broker], Any]] = [
    lambda broker: broker.find("tw-nobody-1"),
    lambda broker: broker.find_in_list("tw-nobody-1", since=a_minute_ago()),
]


def order(**changes: Any) -> OrderRequest:
    """An order that fills at once when its symbol trades at `PRICE`."""
    values: dict[str, Any] = {
        "client_order_id": f"tw-contract-{next(_numbers)}-1",
        "symbol": "AAPL",
        "side": OrderSide.BUY,
        "quantity": Decimal(2),
        "type": "limit",
        "time_in_force": "day",
        "limit_price": PRICE,
    }
    return OrderRequest(**values | changes)


def resting(**changes: Any) -> OrderRequest:
    """An order with a limit price that the market does not reach."""
    return order(**{"limit_price": PRICE / 2} | changes)


def a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def read_again(broker: Broker, accepted: Accepted) -> BrokerOrder:
    read = broker.order(accepted.order.order_id)
    assert read is not None
    return read


def found(broker: Broker, request: OrderRequest) -> BrokerOrder:
    """Look the order up until the broker's reads show it."""
    answers = []

    def look() -> bool:
        answers.append(broker.find(request.client_order_id))
        return isinstance(answers[-1], Found)

    until(look)
    return answers[-1].order


def ended(broker: Broker, order_id: str) -> BrokerOrder:
    """Read the order until it is over."""
    read: list[BrokerOrder | None] = []

    def look() -> bool:
        read.append(broker.order(order_id))
        return read[-1] is not None and read[-1].status in ENDED

    until(look)
    assert read[-1] is not None
    return read[-1]


def until(is_so: Callable[[], bool], *, within_s: float = 10.0) -> None:
    waiting.until(is_so, within_s)
