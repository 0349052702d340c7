"""Brackets, OCO and OTO orders at the paper exchange: their stops, their prices and their refusals."""

from __future__ import annotations

from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from tests.exchange_client import build_client, ended, limit, refused, refused_order
from tests.exchange_fixtures import ExchangeProcess

OCO = {
    "symbol": "AAPL", "qty": "4", "side": "sell", "type": "limit", "time_in_force": "gtc", "order_class": "oco",
    "take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"},
}  # fmt: skip


@pytest.fixture
def broker(exchange_process: ExchangeProcess) -> TradingClient:
    exchange_process.admin("prices", {"AAPL": "100"})
    return build_client(exchange_process, raw=True)


def held(broker: TradingClient, exchange: ExchangeProcess, **changes: Any) -> dict[str, Any]:
    """Buy four shares, protect them with an OCO order, and return that order when it is open."""
    typed = build_client(exchange)
    ended(typed, typed.submit_order(limit("AAPL", 4, "buy", 100)))
    placed: Any = broker.post("/orders", OCO | changes)
    ended(typed, typed.get_order_by_id(placed["id"]), "new")
    return read(broker, placed["id"])


def read(broker: TradingClient, order_id: str) -> dict[str, Any]:
    found: Any = broker.get(f"/orders/{order_id}")
    return found  # type: ignore[no-any-return]


def test_the_stop_of_an_oco_is_held_until_the_price_triggers_it(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    oco = held(broker, exchange_process)
    assert (oco["status"], [leg["status"] for leg in oco["legs"]]) == ("new", ["held"])
    exchange_process.admin("prices", {"AAPL": "79"})
    after = read(broker, oco["id"])

    assert (after["status"], [leg["status"] for leg in after["legs"]]) == ("canceled", ["filled"])
    assert broker.get("/positions") == []


def test_a_held_stop_can_be_replaced_and_is_held_again(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    oco = held(broker, exchange_process)
    moved: Any = broker.patch(f"/orders/{oco['legs'][0]['id']}", {"stop_price": "90"})
    ended(build_client(exchange_process), build_client(exchange_process).get_order_by_id(moved["id"]), "held")
    exchange_process.admin("prices", {"AAPL": "89"})

    assert read(broker, moved["id"])["status"] == "filled"
    assert read(broker, oco["id"])["status"] == "canceled"


def test_a_stop_sells_no_more_than_its_take_profit_has_left(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    typed = build_client(exchange_process)
    ended(typed, typed.submit_order(limit("AAPL", 4, "buy", 100)))
    exchange_process.admin("faults", {"faults": [{"on": "submit", "kind": "partial_fill", "seconds": 60}]})
    oco: Any = broker.post("/orders", OCO)
    ended(typed, typed.get_order_by_id(oco["id"]), "new")
    exchange_process.admin("prices", {"AAPL": "121"})
    assert read(broker, oco["id"])["filled_qty"] == "2"
    exchange_process.admin("prices", {"AAPL": "79"})

    assert [leg["filled_qty"] for leg in read(broker, oco["id"])["legs"]] == ["2"]
    assert broker.get("/positions") == []


def test_the_stop_of_a_bracket_does_not_sell_before_the_entry_is_filled(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    bracket = {"limit_price": "90", "order_class": "bracket", "side": "buy", "stop_loss": {"stop_price": "85"}}
    placed: Any = broker.post("/orders", OCO | bracket)
    typed = build_client(exchange_process)
    ended(typed, typed.get_order_by_id(placed["id"]), "new")

    assert {leg["status"] for leg in read(broker, placed["id"])["legs"]} == {"held"}
    exchange_process.admin("prices", {"AAPL": "91"})
    assert {leg["status"] for leg in read(broker, placed["id"])["legs"]} == {"held"}
    exchange_process.admin("prices", {"AAPL": "90"})
    legs = {leg["type"]: leg["status"] for leg in read(broker, placed["id"])["legs"]}
    assert legs == {"limit": "new", "stop": "held"}


def test_the_legs_of_an_entry_that_is_canceled_after_a_part_are_canceled_with_it(
    broker: TradingClient, exchange_process: ExchangeProcess
) -> None:
    exchange_process.admin("faults", {"faults": [{"on": "submit", "kind": "partial_fill", "seconds": 60}]})
    bracket = {"limit_price": "100", "order_class": "bracket", "side": "buy"}
    placed: Any = broker.post("/orders", OCO | bracket)
    typed = build_client(exchange_process)
    ended(typed, typed.get_order_by_id(placed["id"]), "partially_filled")
    assert {leg["status"] for leg in read(broker, placed["id"])["legs"]} == {"held"}
    broker.delete(f"/orders/{placed['id']}")
    ended(typed, typed.get_order_by_id(placed["id"]), "canceled")

    assert {leg["status"] for leg in read(broker, placed["id"])["legs"]} == {"canceled"}
    held: Any = broker.get("/positions")
    assert [(each["qty"], each["qty_available"]) for each in held] == [("2", "2")]


def test_the_stop_of_an_oto_works_at_once(broker: TradingClient, exchange_process: ExchangeProcess) -> None:
    oto = {"limit_price": "100", "order_class": "oto", "side": "buy", "take_profit": None}
    placed: Any = broker.post("/orders", OCO | oto)
    typed = build_client(exchange_process)
    ended(typed, typed.get_order_by_id(placed["id"]))

    assert [leg["status"] for leg in read(broker, placed["id"])["legs"]] == ["new"]


@pytest.mark.parametrize("side", ["sell", "buy"])
def test_an_oco_without_a_position_is_refused(broker: TradingClient, side: str) -> None:
    legs = [{"limit_price": "120"}, {"stop_price": "80"}] if side == "sell" else [
        {"limit_price": "80"}, {"stop_price": "120"},
    ]  # fmt: skip
    body = OCO | {"side": side, "take_profit": legs[0], "stop_loss": legs[1]}

    assert refused(lambda: broker.post("/orders", body)) == (
        422,
        {"code": 42210000, "message": "oco orders must be exit orders"},
    )


@pytest.mark.parametrize(
    ("changes", "base", "message"),
    [
        ({"take_profit": {"limit_price": "100"}}, "100", "take_profit.limit_price must be >= base_price + 0.01"),
        ({"stop_loss": {"stop_price": "100"}}, "100", "stop_loss.stop_price must be <= base_price - 0.01"),
        ({"type": "limit", "limit_price": "80"}, "80", "stop_loss.stop_price must be <= base_price - 0.01"),
        (
            {"side": "sell", "take_profit": {"limit_price": "100"}, "stop_loss": {"stop_price": "110"}},
            "100",
            "take_profit.limit_price must be <= base_price - 0.01",
        ),
        (
            {"side": "sell", "take_profit": {"limit_price": "90"}, "stop_loss": {"stop_price": "100"}},
            "100",
            "stop_loss.stop_price must be >= base_price + 0.01",
        ),
    ],
)
def test_a_leg_that_is_not_a_cent_beyond_the_base_price_is_refused(
    broker: TradingClient, changes: dict[str, Any], base: str, message: str
) -> None:
    bracket = OCO | {"side": "buy", "type": "market", "order_class": "bracket"} | changes

    assert refused(lambda: broker.post("/orders", bracket)) == (
        422,
        {"base_price": base, "code": 42210000, "message": message},
    )


def test_a_leg_one_cent_beyond_the_base_price_is_accepted(broker: TradingClient) -> None:
    nearest = {"take_profit": {"limit_price": "100.01"}, "stop_loss": {"stop_price": "99.99"}}
    placed: Any = broker.post("/orders", OCO | {"side": "buy", "type": "market", "order_class": "bracket"} | nearest)

    assert len(placed["legs"]) == 2


@pytest.mark.parametrize(("side", "stop", "word"), [("sell", "100", "less"), ("buy", "100", "greater")])
def test_a_stop_that_the_market_has_passed_is_refused(
    broker: TradingClient, exchange_process: ExchangeProcess, side: str, stop: str, word: str
) -> None:
    typed = build_client(exchange_process)
    ended(typed, typed.submit_order(limit("AAPL", 4, "buy", 100)))

    assert refused_order(broker, side=side, type="stop", limit_price=None, stop_price=stop) == (
        422,
        {
            "code": 42210000,
            "market_price": "100",
            "message": f"stop price must be {word} than current price",
            "stop_price": stop,
        },
    )
