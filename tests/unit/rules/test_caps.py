from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import Book, Pending
from pipeline.model.orders import OrderSide
from pipeline.model.reasons import Code
from tests.rule_cases import STANDING, case, position, signal, tuned
from workers.rules.caps import caps, held, unseen
from workers.rules.case import Case
from workers.rules.entry_terms import Terms
from workers.rules.sizing import Cap

#: A unit costs 10, of which 1 is at risk.
TERMS = Terms(side=OrderSide.BUY, limit=Decimal(10), price=Decimal(10), lowest=Decimal(10), risk=Decimal(1))
# Three positions of 5 at 110 each, and a pending order of 10 for 1,000, of which 30 are at risk.
BOOK = Book(
    positions=(position(5, "AAPL"), position(5, "MSFT"), position(-5, "XOM")),
    pending=(Pending(symbol="AAPL", quantity=Decimal(10), value=Decimal(1000), risk=Decimal(30)),),
)


def found(code: Code, judged: Case) -> list[Cap]:
    return [cap for cap in caps(judged, TERMS) if cap.code == code]


def only(code: Code, judged: Case) -> tuple[Any, dict[str, str]]:
    (cap,) = found(code, judged)
    return cap.quantity, {name: str(value) for name, value in cap.facts.items()}


def test_without_limits_there_is_the_buying_power() -> None:
    assert [cap.code for cap in caps(case(signal(), book=BOOK), TERMS)] == ["buying_power_used_up"]


def test_one_entry_costs_at_most_a_part_of_the_equity() -> None:
    judged = case(signal(), settings=tuned(size={"maximum_percent": 15}), book=BOOK)

    assert only(Code.POSITION_SIZE_LIMIT, judged) == (
        1500,
        {"limit": "15000.00", "used": "0.00", "room": "15000.00", "price": "10"},
    )


@pytest.mark.parametrize(("most", "room"), [(20, 5), (15, 0), (5, 0)])
def test_a_position_has_at_most_so_many_units_with_what_is_held(most: int, room: int) -> None:
    judged = case(signal(), settings=tuned(firm={"maximum_quantity": most}), book=BOOK)

    assert only(Code.POSITION_SIZE_LIMIT, judged) == (room, {"maximum_quantity": str(most), "held": "15"})


def test_exposure_is_all_that_is_held_or_on_its_way_longs_and_shorts_added_up() -> None:
    judged = case(signal(), settings=tuned(limits={"gross_exposure_percent": 10}), book=BOOK)

    # 15 shares at 110, and a pending order of 1,000.
    assert only(Code.GROSS_EXPOSURE_LIMIT, judged) == (
        735,
        {"limit": "10000.00", "used": "2650.00", "room": "7350.00", "price": "10"},
    )


def test_a_symbols_exposure_is_its_own() -> None:
    judged = case(signal(), settings=tuned(limits={"symbol_exposure_percent": 2}), book=BOOK)

    assert only(Code.SYMBOL_EXPOSURE_LIMIT, judged)[0] == 45


def test_each_group_of_the_symbol_is_a_cap() -> None:
    groups = {"tech": ["AAPL", "MSFT"], "large": ["AAPL"], "oil": ["XOM"]}
    judged = case(signal(), settings=tuned(limits={"group_exposure_percent": 5}, groups=groups), book=BOOK)

    assert [(cap.quantity, cap.facts["group"]) for cap in found(Code.GROUP_EXPOSURE_LIMIT, judged)] == [
        (Decimal(290), "tech"),
        (Decimal(345), "large"),
    ]


def test_what_only_the_newest_reading_shows_counts_once() -> None:
    settings = tuned(limits={"gross_exposure_percent": 10})
    fewer = case(signal(), held=3, settings=settings, book=BOOK)
    # The broker now shows 20 shares at 110. The book has 5 from the snapshot and 10 that are pending.
    more = case(signal(), held=20, settings=settings, book=BOOK)

    assert (held(fewer), unseen(fewer)) == (Decimal(15), Decimal(0))
    assert (held(more), unseen(more)) == (Decimal(20), Decimal(2200) - 1550)
    assert only(Code.GROSS_EXPOSURE_LIMIT, more)[1]["used"] == "3300.00"


def test_a_limit_that_is_exceeded_already_leaves_no_room() -> None:
    judged = case(signal(), settings=tuned(limits={"gross_exposure_percent": 1}), book=BOOK)

    assert only(Code.GROSS_EXPOSURE_LIMIT, judged) == (
        0,
        {"limit": "1000.00", "used": "2650.00", "room": "-1650.00", "price": "10"},
    )


def test_the_days_loss_and_all_that_may_be_lost_down_to_the_stops_is_taken_off() -> None:
    baseline = replace(STANDING, equity=Decimal(98_000), peak_equity=Decimal(101_000))
    settings = tuned(limits={"daily_loss_percent": 5, "drawdown_percent": 4}, size={"default_stop_percent": 2})
    judged = case(signal(), settings=settings, baseline=baseline, book=BOOK)

    # The open risk is 2 percent of the positions of 1,650, and 30 of the pending order.
    assert only(Code.DAILY_LOSS_LIMIT, judged) == (
        2937,
        {"limit": "5000.00", "lost": "2000.00", "open_risk": "63.00", "room": "2937.00", "unit_risk": "1.00"},
    )
    assert only(Code.DRAWDOWN_LIMIT, judged)[0] == Decimal(4040) - 3000 - 63


def test_the_lower_of_two_equities_holds() -> None:
    settings = tuned(limits={"daily_loss_percent": 5})
    fallen = case(signal(), settings=settings)
    fallen = replace(fallen, account=replace(fallen.account, equity=Decimal(96_000)))
    risen = case(signal(), settings=settings, baseline=replace(STANDING, equity=Decimal(96_000)))

    assert only(Code.DAILY_LOSS_LIMIT, fallen)[1]["lost"] == "4000.00"
    assert only(Code.DAILY_LOSS_LIMIT, risen)[1]["lost"] == "4000.00"


def test_a_stop_of_ours_is_what_a_position_may_lose() -> None:
    book = Book(positions=(position(5, "MSFT"),), stops={"MSFT": Decimal(100)})
    judged = case(signal(), settings=tuned(limits={"daily_loss_percent": 5}), book=book)

    assert only(Code.DAILY_LOSS_LIMIT, judged)[1]["open_risk"] == "50.00"


def test_buying_power_is_used_in_part_and_without_what_others_reserved() -> None:
    settings = tuned(limits={"buying_power_percent": 95})
    coin = signal(symbol="BTC/USD", asset_class="crypto")

    assert only(Code.BUYING_POWER_USED_UP, case(signal(), settings=settings, reserved=Decimal(500))) == (
        18_950,
        {"limit": "190000.00", "used": "500.00", "room": "189500.00", "price": "10"},
    )
    # Coins are not bought on margin.
    assert only(Code.CASH_USED_UP, case(coin, settings=settings))[0] == 9500


def test_a_part_of_the_buying_power_is_a_part_of_all_of_it_whatever_was_spent_since() -> None:
    settings = tuned(limits={"buying_power_percent": 50})
    # Positions of 120,000, and a pending order of 30,000, of which the broker has not deducted 10,000; 60,000 are left.
    book = Book(
        positions=(replace(position(1200, "MSFT"), current_price=Decimal(100)), position(1, "BTC/USD")),
        pending=(Pending(symbol="AAPL", quantity=Decimal(300), value=Decimal(30_000), risk=Decimal(0)),),
    )
    judged = case(signal(), settings=settings, book=book, reserved=Decimal(10_000))
    judged = replace(judged, account=replace(judged.account, buying_power=Decimal(60_000)))

    # The whole buying power was 200,000, and more than half of it is used.
    assert only(Code.BUYING_POWER_USED_UP, judged) == (
        0,
        {"limit": "100000.00", "used": "150000.00", "room": "-50000.00", "price": "10"},
    )


def test_of_cash_only_what_was_spent_on_coins_is_spent() -> None:
    settings = tuned(limits={"buying_power_percent": 50})
    book = Book(positions=(position(100, "MSFT"), position(100, "BTC/USD")))
    judged = case(signal(symbol="BTC/USD", asset_class="crypto"), settings=settings, book=book)

    # The account has 100,000 left after 11,000 were spent.
    assert only(Code.CASH_USED_UP, judged)[1] == {
        "limit": "55500.00",
        "used": "11000.00",
        "room": "44500.00",
        "price": "10",
    }


@pytest.mark.parametrize("equity", [0, -10])
def test_an_account_that_is_worth_nothing_buys_nothing(equity: Any) -> None:
    judged = case(signal())
    broke = replace(judged, account=replace(judged.account, equity=Decimal(equity)))

    assert only(Code.BUYING_POWER_USED_UP, broke)[0] == 0
