"""A position counts with the value that the broker states, in the account's currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import Book, position_value
from pipeline.model.account import Position

OPTION = {"symbol": "SPY261218C00600000", "current_price": "15.95", "market_value": "1595", "cost_basis": "1200"}


def position(quantity: int = 1, **changes: Any) -> Position:
    values = {"symbol": "AAPL", "average_entry_price": "12", "current_price": "15", **changes}
    money = {name: None if value is None else Decimal(value) for name, value in values.items() if name != "symbol"}
    held = Decimal(quantity)
    return Position(symbol=values["symbol"], quantity=held, available=held, **money)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "value"),
    [
        (position(**OPTION), 1595),
        (position(-2, **OPTION | {"market_value": "-3190", "cost_basis": "-2400"}), 3190),
        # An option without a quote counts with its cost.
        (position(**OPTION | {"current_price": None, "market_value": None}), 1200),
        (position(**OPTION | {"current_price": "0", "market_value": "0"}), 1200),
        # The price is 0.05 BTC, and the market value is in dollars.
        (position(10, symbol="ETH/BTC", current_price="0.05", market_value="30000"), 30000),
        # The broker states neither a market value nor a cost.
        (position(3), 45),
        (position(3, current_price=None), 36),
    ],
)
def test_exposure_is_the_value_that_the_broker_states(held: Position, value: int) -> None:
    assert position_value(held) == value
    assert Book(positions=(held, position(symbol="MSFT"))).gross() == value + 15


@pytest.mark.parametrize(
    ("held", "profit"),
    [
        (position(**OPTION), 395),
        (position(-2, **OPTION | {"market_value": "-3190", "cost_basis": "-2400"}), -790),
        (position(**OPTION | {"current_price": None, "market_value": None}), None),
        (position(3), 9),
    ],
)
def test_an_open_profit_is_that_of_the_stated_values(held: Position, profit: int | None) -> None:
    assert held.unrealised == profit


@pytest.mark.parametrize(
    ("changes", "unread"),
    [
        ({"market_value": "0", "cost_basis": "0"}, ()),
        ({"market_value": None, "cost_basis": "0"}, ("AAPL",)),
        ({"market_value": None, "cost_basis": None}, ("AAPL",)),
    ],
)
def test_a_position_without_any_value_is_known_where_the_broker_states_so(
    changes: dict[str, Any], unread: tuple[str, ...]
) -> None:
    held = position(**{"current_price": "0", "average_entry_price": "0"} | changes)

    assert Book(positions=(held,)).unread() == unread
