"""Orders and positions are compared with the record; what our own orders, fees or dust explain is no difference."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.account import Position
from pipeline.model.findings import FindingKind
from pipeline.model.orders import BrokerOrder, OrderSide, OrderStatus
from tests.rule_cases import NOW, position
from workers.rules.differences import (
    RecordedOrder,
    RecordedPosition,
    compare_positions,
    foreign_orders,
    shrunken_orders,
)

SECOND = timedelta(seconds=1)


def recorded(quantity: Any, symbol: str = "AAPL", **changes: Any) -> RecordedPosition:
    figures = {name: Decimal(value) if name.startswith("may_") else value for name, value in changes.items()}
    return RecordedPosition(symbol=symbol, quantity=Decimal(quantity), **figures)


def order(client_order_id: str, order_id: str = "o-1", **changes: Any) -> BrokerOrder:
    whole: dict[str, Any] = {
        "order_id": order_id,
        "client_order_id": client_order_id,
        "symbol": "AAPL",
        "side": OrderSide.BUY,
        "quantity": Decimal(5),
        "filled_quantity": Decimal(0),
        "filled_average_price": None,
        "status": OrderStatus.WORKING,
        "raw_status": "new",
        "created_at": NOW,
    }
    return BrokerOrder(**whole | changes)


def compared(
    positions: list[Position], rows: list[RecordedPosition], *, all_readable: bool = True
) -> tuple[list[tuple[str, str]], set[str]]:
    found = compare_positions(positions, rows, settled_before=NOW, all_readable=all_readable)
    return [(each.kind.value, each.facts["difference"]) for each in found.differences], set(found.undecided)


@pytest.mark.parametrize(
    ("held", "ours", "kind"),
    [
        (5, 0, "foreign_position"),
        (15, 10, "position_quantity"),
        (5, 10, "position_quantity"),
        (-5, 5, "position_quantity"),
    ],
)
def test_another_quantity_is_a_difference(held: int, ours: int, kind: str) -> None:
    assert compared([position(held)], [recorded(ours)] if ours else []) == ([(kind, str(held - ours))], set())


def test_a_position_that_is_gone_is_a_difference() -> None:
    assert compared([], [recorded(10)]) == ([("position_quantity", "-10")], set())


def test_equal_quantities_are_none() -> None:
    assert compared([position(10), position(0, "MSFT")], [recorded("10.000")]) == ([], set())


@pytest.mark.parametrize(
    ("held", "may_buy", "may_sell", "explained"),
    [(12, 2, 0, True), (11, 2, 0, True), (13, 2, 0, False), (9, 2, 0, False), (8, 0, 2, True), (7, 0, 2, False)],
)
def test_what_our_open_orders_may_have_filled_is_not_decided(
    held: int, may_buy: int, may_sell: int, *, explained: bool
) -> None:
    differences, undecided = compared([position(held)], [recorded(10, may_buy=may_buy, may_sell=may_sell)])

    assert (differences == [], undecided == {"AAPL"}) == (explained, explained)


@pytest.mark.parametrize(("ago", "decided"), [(0, False), (1, True)])
def test_a_holding_that_changed_a_moment_ago_is_not_decided(ago: int, *, decided: bool) -> None:
    differences, undecided = compared([position(12)], [recorded(10, changed_at=NOW - ago * SECOND)])

    assert (bool(differences), undecided == set()) == (decided, decided)


def test_a_row_that_could_not_be_read_may_be_the_missing_position() -> None:
    assert compared([position(5, "MSFT")], [recorded(10)], all_readable=False) == (
        [("foreign_position", "5")],
        {"AAPL"},
    )


@pytest.mark.parametrize(
    ("held", "ours", "is_difference"),
    [
        ("0.798", "0.8", False),
        ("798", "800", False),
        ("8", "8.8", True),
        ("0.805", "0.8", False),  # Worth 0.55 at 110.
        ("0.9", "0.8", True),
        ("0.05", "0", False),
        ("0.1", "0", True),
    ],
)
def test_fees_in_coins_and_dust_are_expected(held: str, ours: str, *, is_difference: bool) -> None:
    coins = position(held, "BTC/USD")
    rows = [recorded(ours, "BTC/USD")] if Decimal(ours) else []

    assert bool(compared([coins], rows)[0]) == is_difference


def test_part_of_a_share_is_a_difference() -> None:
    assert compared([position("10.01")], [recorded(10)])[0] == [("position_quantity", "0.01")]


def test_orders_of_others_and_unknown_ones_of_ours_differ() -> None:
    listed = [order("tw-known", "o-1"), order("tw-lost", "o-2"), order("by-hand", "o-3"), order("new", "o-4")]

    found = list(foreign_orders(listed, unknown={"o-2"}, known={"o-4"}))

    assert [(each.kind, each.order_id) for each in found] == [
        (FindingKind.UNKNOWN_ORDER, "o-2"),
        (FindingKind.FOREIGN_ORDER, "o-3"),
    ]


def test_adopted_orders_and_what_was_placed_in_their_place_do_not_differ() -> None:
    adopted = [order("by-hand", "o-1"), order("restored-o-1", "o-2"), order("tw-lost", "o-3")]
    listed = [*adopted, order("restored-o-9", "o-4")]

    found = list(foreign_orders(listed, unknown={"o-3"}, known={"o-1", "o-3"}))

    assert [each.order_id for each in found] == ["o-4"]


def test_the_facts_of_an_order_can_be_stored() -> None:
    (found,) = foreign_orders([order("a\x00b", quantity=None, terms={"type": "li\ud800"})], unknown=(), known=())

    assert "\x00" not in "".join(found.facts.values())
    assert "quantity" not in found.facts


@pytest.mark.parametrize(("filled", "ago", "differs"), [(3, 1, True), (2, 1, False), (1, 1, False), (3, 0, False)])
def test_an_order_with_less_filled_than_recorded_differs(filled: int, ago: int, *, differs: bool) -> None:
    ours = RecordedOrder(
        order_id="o-1",
        symbol="AAPL",
        side="buy",
        quantity=Decimal(5),
        filled_quantity=Decimal(filled),
        changed_at=NOW - ago * SECOND,
    )
    listed = {"o-1": order("tw-known", filled_quantity=Decimal(2))}

    assert bool(list(shrunken_orders(listed, [ours], settled_before=NOW))) == differs
