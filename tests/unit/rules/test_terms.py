from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.orders import OrderSide
from tests.rule_cases import case, signal, tuned
from workers.rules.entry_terms import Terms, terms_of


def terms(side: str = "buy", *, order: str = "limit", stop: Any = None, price: Any = None) -> Terms:
    """The terms at a signal's price of 100, with a collar of half a percent and an assumed stop three percent away."""
    judged = case(
        signal("BUY" if side == "buy" else "SELL", stop_price=None if stop is None else Decimal(stop)),
        settings=tuned(order={"type": order, "allow_short": True}),
        price=None if price is None else Decimal(price),
    )
    assert judged.asset is not None
    return terms_of(judged, OrderSide(side), Decimal(100), judged.asset)


@pytest.mark.parametrize(
    ("side", "order", "market", "price"),
    [
        ("buy", "limit", None, "100.5"),
        # A limit order never costs more than its limit, whatever the market does.
        ("buy", "limit", 102, "100.5"),
        ("buy", "market", None, "100.5"),
        ("buy", "market", 102, 102),
        ("buy", "market", 98, "100.5"),
        # The broker counts a short at three percent above the market.
        ("sell", "limit", None, 103),
        ("sell", "limit", 110, "113.3"),
        ("sell", "market", 90, 103),
    ],
)
def test_a_unit_is_taken_to_cost_what_it_may_cost_at_worst(side: str, order: str, market: Any, price: Any) -> None:
    assert terms(side, order=order, price=market).price == Decimal(price)


@pytest.mark.parametrize(
    ("side", "order", "market", "stop", "risk"),
    [
        ("buy", "limit", None, 96, "4.5"),
        ("buy", "market", 102, 96, 6),
        ("sell", "limit", None, 104, "4.5"),
        # The risk is three percent of the price without a stop, or with one that the worst fill is already beyond.
        ("buy", "limit", None, None, "3.015"),
        ("buy", "limit", None, 101, "3.015"),
        ("sell", "limit", None, None, "3.09"),
        ("sell", "limit", None, 99, "3.09"),
    ],
)
def test_a_unit_risks_the_way_from_its_worst_fill_to_its_stop(
    side: str, order: str, market: Any, stop: Any, risk: Any
) -> None:
    assert terms(side, order=order, stop=stop, price=market).risk == Decimal(risk)


def test_the_least_that_a_unit_may_cost_is_the_lowest_of_the_prices_known() -> None:
    assert terms().lowest == 100
    assert terms(price=98).lowest == 98
    assert terms("sell").lowest == Decimal("99.5")
