"""The adapter translates the terms of Alpaca into ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.enums import OrderStatus as AlpacaStatus

from pipeline.model.account import Position
from pipeline.model.errors import BrokerUnreadable
from pipeline.model.orders import OrderStatus
from tests.unit.brokers import payloads
from workers.brokers.alpaca import mapping as words


@pytest.mark.parametrize("word", [status.value for status in AlpacaStatus])
def test_every_status_that_alpaca_py_knows_has_a_meaning(word: str) -> None:
    order = words.order_from_broker(payloads.order(status=word))

    assert order.status is not OrderStatus.UNRECOGNISED
    assert order.raw_status == word


@pytest.mark.parametrize(
    ("word", "filled", "expected"),
    [
        ("new", "0", OrderStatus.WORKING),
        ("new", "1", OrderStatus.PARTIALLY_FILLED),
        ("done_for_day", "1", OrderStatus.PARTIALLY_FILLED),
        ("filled", "10", OrderStatus.FILLED),
        ("canceled", "1", OrderStatus.CANCELED),
        ("brand_new", "1", OrderStatus.UNRECOGNISED),
    ],
)
def test_a_part_that_is_filled_shows_while_the_rest_works(word: str, filled: str, expected: OrderStatus) -> None:
    assert words.order_from_broker(payloads.order(status=word, filled_qty=filled)).status is expected


def test_an_order_by_notional_has_no_quantity() -> None:
    assert words.order_from_broker(payloads.order(qty=None, notional="100")).quantity is None


def test_nanoseconds_are_cut_to_microseconds_in_utc() -> None:
    order = words.order_from_broker(payloads.order(created_at="2026-10-08T11:10:18.909428548-04:00"))

    assert order.created_at == datetime(2026, 10, 8, 15, 10, 18, 909428, tzinfo=UTC)
    assert order.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("changes", "quantity", "available"),
    [
        ({}, 5, 3),
        ({"qty_available": None}, 5, 5),
        ({"qty_available": "0"}, 5, 0),
        ({"qty": "-5", "qty_available": "-3", "side": "short"}, -5, -3),
        ({"qty": "5", "qty_available": "3", "side": "short"}, -5, -3),
        ({"qty": "-5", "qty_available": "3", "side": None}, -5, -3),
    ],
)
def test_a_short_position_is_below_zero(changes: dict[str, Any], quantity: int, available: int) -> None:
    assert words.position_from_broker(payloads.position(**changes)) == Position(
        symbol="KO",
        quantity=Decimal(quantity),
        available=Decimal(available),
        average_entry_price=Decimal("86.879891"),
        current_price=Decimal("86.88"),
    )


@pytest.mark.parametrize(
    ("changes", "value", "cost"),
    [
        # A contract stands for a hundred shares, so one at 15.95 has a value of 1595, as at Alpaca.
        ({"qty": "1", "current_price": "15.95", "market_value": "1595", "cost_basis": "1200"}, 1595, 1200),
        ({"qty": "-2", "side": "short", "market_value": "-3190", "cost_basis": "2400"}, -3190, -2400),
        ({"market_value": None, "cost_basis": None}, None, None),
    ],
)
def test_a_position_keeps_the_value_and_cost_that_alpaca_states(
    changes: dict[str, Any], value: int | None, cost: int | None
) -> None:
    option = {"symbol": "SPY261218C00600000", "asset_class": "us_option", **changes}

    held = words.position_from_broker(payloads.position(**option))

    assert (held.market_value, held.cost_basis) == (value, cost)


def test_the_account_is_read_without_a_float() -> None:
    account = words.account_from_broker(payloads.account())

    assert account.number == "PA3XYZ"
    assert account.last_equity == Decimal("100003.74258806517")
    assert account.buying_power == Decimal("400023.32")
    assert account.shorting_enabled
    assert not account.blocked


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "ACCOUNT_UPDATED"},
        {"status": None},
        {"trading_blocked": True},
        {"account_blocked": True},
        {"trade_suspended_by_user": True},
        {"trading_blocked": "maybe"},
    ],
)
def test_an_account_that_is_not_clearly_open_counts_as_blocked(changes: dict[str, Any]) -> None:
    assert words.account_from_broker(payloads.account(**changes)).blocked


def test_an_account_without_a_figure_that_only_entries_need_is_read() -> None:
    raw = payloads.account()
    del raw["non_marginable_buying_power"]

    assert words.account_from_broker(raw).non_marginable_buying_power is None


@pytest.mark.parametrize("missing", ["equity", "last_equity", "cash", "buying_power"])
@pytest.mark.parametrize("value", [None, "", "Infinity", [], "a lot"])
def test_an_account_whose_money_is_not_known_is_not_made_up(missing: str, value: Any) -> None:
    with pytest.raises(BrokerUnreadable, match=missing):
        words.account_from_broker(payloads.account(**{missing: value}))


@pytest.mark.parametrize(
    ("changes", "tradable"),
    [({}, True), ({"tradable": False}, False), ({"status": "inactive"}, False), ({"tradable": "yes"}, False)],
)
def test_an_asset_is_tradable_when_it_is_active_and_says_so(changes: dict[str, Any], *, tradable: bool) -> None:
    assert words.asset_from_broker(payloads.asset(**changes)).tradable is tradable


@pytest.mark.parametrize(
    ("changes", "day_orders_only"),
    [
        ({}, False),
        ({"borrow_status": "easy_to_borrow"}, False),
        ({"borrow_status": "hard_to_borrow"}, True),
        ({"borrow_status": "easy_to_borrow", "easy_to_borrow": False}, False),
        ({"easy_to_borrow": False}, True),
        ({"class": "crypto", "symbol": "BTC/USD", "easy_to_borrow": False}, False),
    ],
)
def test_shares_that_are_hard_to_borrow_take_orders_for_the_day_only(
    changes: dict[str, Any], *, day_orders_only: bool
) -> None:
    assert words.asset_from_broker(payloads.asset(**changes)).day_orders_only is day_orders_only


def test_the_clock_is_read_in_utc() -> None:
    clock = words.clock_from_broker(
        {
            "timestamp": "2026-10-08T11:00:00.123456789-04:00",
            "is_open": True,
            "next_open": "2026-10-09T09:30:00-04:00",
            "next_close": "2026-10-08T16:00:00-04:00",
        }
    )

    assert clock.is_open
    assert clock.next_close == datetime(2026, 10, 8, 20, tzinfo=UTC)
    assert clock.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize("changes", [{"is_open": None}, {"next_open": None}, {"timestamp": "2026-10-08T11:00:00"}])
def test_a_clock_that_does_not_say_is_unreadable(changes: dict[str, Any]) -> None:
    moment = "2026-10-08T11:00:00-04:00"
    raw = {"timestamp": moment, "is_open": True, "next_open": moment, "next_close": moment} | changes

    with pytest.raises(BrokerUnreadable):
        words.clock_from_broker(raw)


STOPS: dict[str, dict[str, Any]] = {
    "stop": {"stop_price": "170"},
    "stop_limit": {"stop_price": "170", "limit_price": "169.5"},
    "trailing_stop": {"trail_percent": "2.5", "stop_price": "171.3"},
}


@pytest.mark.parametrize("kind", STOPS.keys())
def test_the_terms_of_a_stop_are_read(kind: str) -> None:
    none = dict.fromkeys(("limit_price", "stop_price", "trail_price", "trail_percent"))
    raw = payloads.order(side="sell", time_in_force="gtc", type=kind, **none | STOPS[kind])

    stop = words.order_from_broker(raw).stop

    assert stop is not None
    found = {name: str(value) for name, value in vars(stop).items() if value is not None}
    assert found == {"type": kind, "time_in_force": "gtc"} | STOPS[kind]
    assert words.order_from_broker(payloads.order()).stop is None
