from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.model.account import Position
from pipeline.model.orders import OrderSide
from workers.flatten.direct import closing_order


@pytest.mark.parametrize(
    ("symbol", "price", "value", "worth"),
    [
        # A contract stands for a hundred shares, so one at 15.95 has a value of 1595, as at Alpaca.
        ("SPY261218C00600000", "15.95", "3190", "1595"),
        ("ETH/BTC", "0.05", "6000", "3000"),
        ("AAPL", "190.5", None, "190.5"),
        ("AAPL", None, None, "1"),
    ],
)
def test_a_closing_order_counts_what_a_unit_is_worth_in_the_accounts_currency(
    symbol: str, price: str | None, value: str | None, worth: str
) -> None:
    position = Position(
        symbol=symbol,
        quantity=Decimal(2),
        available=Decimal(2),
        average_entry_price=None,
        current_price=None if price is None else Decimal(price),
        market_value=None if value is None else Decimal(value),
    )

    assert Decimal(closing_order(position, OrderSide.SELL).reference_price) == Decimal(worth)
