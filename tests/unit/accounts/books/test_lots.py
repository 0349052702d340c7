"""Fills become lots and trades, first in, first out; the cases are computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.accounts.books.exit_reasons import exit_reason
from pipeline.accounts.books.lots import BookFill
from pipeline.accounts.books.trades import trades_of
from pipeline.model.signals import Action
from tests.unit.accounts.books.fills import START, booked, fill, named, open_lots, traded

Case = tuple[list[str], list[tuple[str, str, str, str | None, str | None]], list[tuple[str, str, str]]]

#: The fills; then each trade as entry, exit, quantity, realised profit and entry price; then the open lots.
CASES: dict[str, Case] = {
    "a long": (["a x entry buy 10 100", "b x exit sell 10 103"], [("a", "b", "10", "30", "100")], []),
    "a short": (["a x entry sell 10 100", "b x exit buy 10 103"], [("a", "b", "-10", "-30", "100")], []),
    "a part": (["a x entry buy 10 100", "b x exit sell 4 103"], [("a", "b", "4", "12", "100")], [("x", "6", "100")]),
    "the oldest lot first": (
        ["a x entry buy 10 100", "b x entry buy 10 110", "c x exit sell 15 120"],
        [("a", "c", "10", "200", "100"), ("b", "c", "5", "50", "110")],
        [("x", "5", "110")],
    ),
    "two fills of an entry are one trade": (
        ["a x entry buy 1 100", "a x entry buy 2 103", "b x exit sell 3 110"],
        [("a", "b", "3", "24", "102")],
        [],
    ),
    "two exits of one entry are two trades": (
        ["a x entry buy 10 100", "b x exit sell 4 101", "c x exit sell 6 99"],
        [("a", "b", "4", "4", "100"), ("a", "c", "6", "-6", "100")],
        [],
    ),
    "its own strategy's lots before older ones of others": (
        ["a x entry buy 5 100", "b y entry buy 5 90", "c y exit sell 7 110"],
        [("b", "c", "5", "100", "90"), ("a", "c", "2", "20", "100")],
        [("x", "3", "100")],
    ),
    "the strategy that opened first, before an older strategy that opened again": (
        [
            "a x entry buy 1 100",
            "b y entry buy 1 100",
            "c x exit sell 1 100",
            "d x entry buy 1 50",
            "e z exit sell 1 80",
        ],
        [("a", "c", "1", "0", "100"), ("b", "e", "1", "-20", "100")],
        [("x", "1", "50")],
    ),
    "an entry on the other side closes and then opens": (
        ["a x entry buy 10 100", "b x entry sell 15 110"],
        [("a", "b", "10", "100", "100")],
        [("x", "-5", "110")],
    ),
    "an entry leaves another strategy's lots": (
        ["a x entry buy 10 100", "b y entry sell 4 110"],
        [],
        [("x", "10", "100"), ("y", "-4", "110")],
    ),
    "an exit leaves lots on its own side": (
        ["a x entry sell 3 100", "b y entry buy 5 90", "c x exit sell 5 95"],
        [("b", "c", "5", "25", "90")],
        [("x", "-3", "100")],
    ),
    "more than we opened": (
        ["a x entry buy 2 100", "b x exit sell 5 110"],
        [("a", "b", "2", "20", "100"), ("", "b", "3", None, None)],
        [],
    ),
    "nothing that we opened": (["b x exit buy 5 110"], [("", "b", "-5", None, None)], []),
    "an entry without a price": (["a x entry buy 2 ?", "b x exit sell 2 110"], [("a", "b", "2", None, None)], []),
    "an exit without a price": (["a x entry buy 2 100", "b x exit sell 2 ?"], [("a", "b", "2", None, "100")], []),
    "a part without a price": (
        ["a x entry buy 2 100", "a x entry buy 2 ?", "b x exit sell 4 110"],
        [("a", "b", "4", None, None)],
        [],
    ),
    "a price without an end": (
        ["a x entry buy 1 100", "a x entry buy 2 101", "b x exit sell 3 101"],
        [("a", "b", "3", "1", "100.6666666666666666666666667")],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_computed_by_hand(case: Case) -> None:
    lines, expected, left = case

    matches, book = booked([fill(number, line) for number, line in enumerate(lines)])

    assert [
        (each.entry_execution_id, each.exit_execution_id, each.quantity, each.realised, each.entry_price)
        for each in trades_of(matches)
    ] == [
        (named(entry) if entry else None, named(leaves), Decimal(quantity), number(realised), number(price))
        for entry, leaves, quantity, realised, price in expected
    ]
    assert open_lots(book) == [(strategy, Decimal(quantity), number(price)) for strategy, quantity, price in left]
    assert book.is_flat == (not left)


def number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def test_a_trade_has_the_times_the_strategy_and_the_signal_of_its_entry() -> None:
    [trade] = traded("a x entry buy 1 100", "a x entry buy 1 100", "b y exit sell 1 101", "b y exit sell 1 102")

    assert (trade.strategy, trade.signal_id, trade.exit_reason) == ("x", named("signal a"), "signal")
    assert (trade.opened_at, (trade.closed_at - START).seconds) == (START, 180)
    assert [trade.entry_price, trade.exit_price, trade.fees] == [100, Decimal("101.5"), 0]


def test_a_trade_has_the_same_id_whenever_it_is_computed() -> None:
    first = traded("a x entry buy 1 100", "b x exit sell 1 101")
    again = traded("a x entry buy 2 9", "b y exit sell 2 7")

    assert [each.trade_id for each in first] == [each.trade_id for each in again]


def test_the_fee_of_a_coin_is_the_part_that_the_exit_could_not_sell_at_the_price_of_its_purchase() -> None:
    bought = [fill(0, "a x entry buy 0.8 1000"), fill(1, "b y entry buy 0.8 1500")]
    sold = fill(2, "c x exit sell 0.798 2000", closes=Decimal("0.8"))

    matches, book = booked([*bought, sold])

    [trade] = trades_of(matches)
    assert [trade.quantity, trade.realised, trade.fees] == [Decimal("0.798"), 798, 2]
    assert [trade.entry_price, trade.exit_price] == [1000, 2000]
    assert open_lots(book) == [("y", Decimal("0.8"), Decimal(1500))]


def test_the_fee_of_several_lots_is_divided_among_them_and_no_part_is_lost() -> None:
    bought = [fill(number, f"e{number} x entry buy 0.333333333 {price}") for number, price in enumerate((10, 20, 40))]
    sold = fill(3, "c x exit sell 0.9975 50", closes=Decimal("0.999999999"))

    matches, book = booked([*bought, sold])

    trades = trades_of(matches)
    assert sum(each.quantity for each in trades) == Decimal("0.9975")
    assert sum(abs(each.fee) for each in matches) == Decimal("0.002499999")
    assert [each.fees for each in trades] == [Decimal(text) for text in ("0.00833333", "0.01666666", "0.03333332")]
    assert book.is_flat


amounts = st.integers(1, 10**15).map(lambda number: Decimal(number).scaleb(-9))
#: Execution, strategy, role, side, quantity, price, and the part of the quantity that the broker took as a fee.
orders = st.tuples(
    st.integers(0, 9),
    st.sampled_from(["x", "y", "-"]),
    st.sampled_from(["entry", "entry", "exit"]),
    st.sampled_from(["buy", "sell"]),
    amounts,
    amounts,
    st.sampled_from([Decimal(0), Decimal("0.0025"), Decimal("0.01")]),
)


def with_fee(number: int, order: tuple[Any, ...]) -> BookFill:
    execution, *terms, part = order
    texts = [f"{term:f}" if isinstance(term, Decimal) else term for term in terms]
    one = fill(number, " ".join([f"e{execution}", *texts]))
    # Only coins have such a fee, and nobody sells coins short.
    fee = (one.quantity * part).quantize(Decimal("1e-9")) if one.sign < 0 else 0
    return replace(one, closes=one.quantity + fee)


@settings(max_examples=60)
@given(st.lists(orders, max_size=20))
def test_profit_and_open_lots_are_the_cash_that_flowed_to_the_last_decimal(drawn: list[tuple[Any, ...]]) -> None:
    fills, last = [with_fee(number, order) for number, order in enumerate(drawn)], Decimal("123.456789123")

    matches, book = booked(fills)
    trades = trades_of(matches)

    with localcontext(prec=100):
        cash = sum(-each.sign * each.quantity * price(each) for each in fills)
        of_others = sum(price(match.exit) * match.quantity for match in matches if match.entry is None)
        realised = sum(each.realised for each in trades if each.realised is not None)
        paid = sum(each.fees for each in trades)
        unrealised = sum((last - price(lot.fill)) * lot.quantity for lot in book.lots())
        worth = sum(last * lot.quantity for lot in book.lots())
        assert realised + unrealised - paid == cash - of_others + worth
        assert all((each.realised is None) == (each.entry_execution_id is None) for each in trades)


def price(one: BookFill) -> Decimal:
    assert one.price is not None
    return one.price


@pytest.mark.parametrize(
    ("source", "action", "by", "reason"),
    [
        ("desk", Action.SELL, "", "signal"),
        ("cli", Action.SELL, "person", "person"),
        ("cli", Action.FLAT, "person", "flat"),
        ("desk", Action.REVERSE, "", "reverse"),
        ("tradewire:flip", Action.SELL, "", "reverse"),
        ("tradewire:flatten", Action.SELL, "", "flatten"),
        ("tradewire:flatten", Action.SELL, "limit", "loss_limit"),
        ("tradewire:flat_by", Action.SELL, "", "flat_by_close"),
        ("tradewire:protect", Action.SELL, "", "stop"),
        ("tradewire:probe", Action.SELL, "", "probe"),
        ("tradewire:hand", Action.FLAT, "", "person"),
    ],
)
def test_the_reason_of_an_exit_is_one_word(source: str, action: Action, by: str, reason: str) -> None:
    assert exit_reason(source=source, action=action, by_person=by == "person", by_limit=by == "limit") == reason
