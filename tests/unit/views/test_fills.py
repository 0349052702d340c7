from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.views.fills import Fills


@dataclass(frozen=True, kw_only=True)
class Filled:
    action: Action
    quantity: str
    price: str
    executor_id: str = "argo"
    symbol: str = "AAPL"
    to_state: State = State.FILLED

    @property
    def filled_quantity(self) -> Decimal:
        return Decimal(self.quantity)

    @property
    def filled_average_price(self) -> Decimal:
        return Decimal(self.price)


def told(*fills: Filled) -> list[str | None]:
    followed = Fills()
    return [followed.outcome(each) for each in fills]


def buy(quantity: str, price: str, **more: str) -> Filled:
    return Filled(action=Action.BUY, quantity=quantity, price=price, **more)  # type: ignore[arg-type]


def sell(quantity: str, price: str, **more: str) -> Filled:
    return Filled(action=Action.SELL, quantity=quantity, price=price, **more)  # type: ignore[arg-type]


def test_a_fill_that_closes_has_its_profit_or_loss_against_the_average_price() -> None:
    assert told(buy("10", "20"), buy("10", "22"), sell("5", "23"), sell("15", "20.5")) == [
        "10 at 20", "10 at 22", "5 at 23, profit 10.00", "15 at 20.5, loss 7.50",
    ]  # fmt: skip


def test_a_short_position_earns_when_the_price_falls() -> None:
    flat = Filled(action=Action.FLAT, quantity="4", price="9")

    assert told(sell("4", "10"), flat, buy("1", "9")) == ["4 at 10", "4 at 9, profit 4.00", "1 at 9"]


def test_nothing_is_said_of_the_profit_on_what_was_not_seen_to_be_bought() -> None:
    assert told(buy("10", "20"), sell("11", "30"), buy("1", "5")) == ["10 at 20", "11 at 30", "1 at 5"]
    assert told(buy("10", "20", symbol="MSFT"), buy("10", "20", executor_id="other"), sell("10", "30"))[2] == "10 at 30"


def test_only_a_filled_order_is_told() -> None:
    assert told(buy("10", "20", to_state=State.PARTIALLY_FILLED), buy("0", "20")) == [None, None]
