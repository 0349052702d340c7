"""Each type of order fills at the right prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workers.exchange.matching import Match, match
from workers.exchange.orders import ExchangeOrder, ExchangeOrderStatus, ExchangeSide, OrderType, TimeInForce


def order(side: str, kind: str, **more: Any) -> ExchangeOrder:
    prices = {name: Decimal(value) if isinstance(value, str) else value for name, value in more.items()}
    return ExchangeOrder(
        seq=1, id="1", account="key", client_order_id="1", symbol="AAPL", is_crypto=False, side=ExchangeSide(side),
        type=OrderType(kind), time_in_force=TimeInForce.DAY, qty=Decimal(1), status=ExchangeOrderStatus.NEW,
        created_ns=0, submitted_ns=0, updated_ns=0, expires_ns=0, **prices,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("placed", "price", "arriving", "fill"),
    [
        (order("buy", "market"), "10", True, "10"),
        (order("buy", "limit", limit_price="11"), "10", True, "10"),
        (order("buy", "limit", limit_price="11"), "10", False, "11"),
        (order("buy", "limit", limit_price="9"), "10", True, None),
        (order("sell", "limit", limit_price="9"), "10", True, "10"),
        (order("sell", "limit", limit_price="9"), "10", False, "9"),
        (order("sell", "limit", limit_price="11"), "10", False, None),
        (order("sell", "stop", stop_price="9"), "10", False, None),
        (order("sell", "stop", stop_price="10"), "9.5", False, "9.5"),
        (order("buy", "stop", stop_price="10"), "9.5", False, None),
        (order("buy", "stop", stop_price="10"), "10", False, "10"),
        (order("sell", "stop_limit", stop_price="10", limit_price="9"), "9.5", False, "9.5"),
        (order("sell", "stop_limit", stop_price="10", limit_price="9"), "8", False, None),
        (order("sell", "stop_limit", stop_price="10", limit_price="9", triggered=True), "9.2", False, "9"),
    ],
)
def test_an_order_fills_at_this_price_or_rests(
    placed: ExchangeOrder, price: str, *, arriving: bool, fill: str | None
) -> None:
    found = match(placed, Decimal(price), arriving=arriving)

    assert found.fill == (None if fill is None else Decimal(fill))


def test_a_stop_limit_that_is_touched_beyond_its_limit_stays_touched() -> None:
    placed = order("sell", "stop_limit", stop_price="10", limit_price="9")

    assert match(placed, Decimal(8), arriving=False) == Match(triggered=True)


@pytest.mark.parametrize(
    ("placed", "prices", "stop"),
    [
        (order("sell", "trailing_stop", trail_price="5"), ["100", "110", "106"], "105"),
        (order("sell", "trailing_stop", trail_percent="10"), ["100", "120", "110"], "108"),
        (order("buy", "trailing_stop", trail_price="5"), ["100", "90", "94"], "95"),
    ],
)
def test_a_trailing_stop_follows_the_best_price(placed: ExchangeOrder, prices: list[str], stop: str) -> None:
    for price in prices:
        found = match(placed, Decimal(price), arriving=False)
        placed.hwm, placed.stop_price = found.hwm, found.stop_price
        assert found.fill is None

    assert placed.stop_price == Decimal(stop)
    assert match(placed, Decimal(stop), arriving=False).fill == Decimal(stop)
