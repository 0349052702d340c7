from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.accounts.exposure import Book, Pending
from pipeline.model.account import Position
from tests.rule_cases import NOW, OPEN, STANDING, case, earlier, position, signal, tuned
from workers.rules.case import Case, Recent
from workers.rules.limits import refusals
from workers.rules.market_hours import Market

TECH = {"tech": ["AAPL", "MSFT", "NVDA"], "large": ["AAPL", "XOM"], "oil": ["XOM"]}


def said(judged: Case) -> list[tuple[str, dict[str, Any]]]:
    return [(reason.code.value, reason.to_json()) for reason in refusals(judged)]


def book(*held: str, pending: tuple[str, ...] = ()) -> Book:
    return Book(
        positions=tuple(position(5, symbol) for symbol in held),
        pending=tuple(
            Pending(symbol=symbol, quantity=Decimal(1), value=Decimal(100), risk=Decimal(3)) for symbol in pending
        ),
    )


def test_limits_that_are_off_refuse_nothing() -> None:
    crowded = book("MSFT", "NVDA", "XOM", pending=("AAPL",))
    sent = signal(stop_price=Decimal(1))

    assert said(case(sent, book=crowded, price=Decimal(1), recent=Recent(orders_today=99, entries_in_symbol=99))) == []


@pytest.mark.parametrize(
    ("held", "pending", "opened"),
    [
        ((), (), None),
        (("MSFT",), (), None),
        (("MSFT",), ("NVDA",), 2),
        (("MSFT", "NVDA"), (), 2),
        # Neither a position in the same symbol nor a pending order in a held one is a further position.
        (("MSFT", "AAPL"), (), None),
        (("MSFT", "AAPL"), ("AAPL", "MSFT"), None),
        # The account already has more positions than the limit.
        (("MSFT", "AAPL", "XOM"), (), 3),
    ],
)
def test_positions_are_counted_with_what_is_on_its_way_and_this_one(
    held: tuple[str, ...], pending: tuple[str, ...], opened: int | None
) -> None:
    judged = case(signal(), settings=tuned(limits={"open_positions": 2}), book=book(*held, pending=pending))

    assert said(judged) == ([] if opened is None else [("open_positions_limit", {"limit": 2, "open": opened})])


def test_what_was_closed_and_has_not_vanished_is_no_position() -> None:
    gone = Book(positions=(position(0, "MSFT"), position(0, "NVDA")))

    assert said(case(signal(), settings=tuned(limits={"open_positions": 1}), book=gone)) == []


def test_a_position_that_only_the_newest_reading_shows_is_counted() -> None:
    judged = case(signal(), held=3, settings=tuned(limits={"open_positions": 1, "pyramiding": 1}), book=book("MSFT"))

    assert [code for code, _ in said(judged)] == ["open_positions_limit", "pyramiding_limit"]


def test_each_group_of_the_symbol_is_counted_for_itself() -> None:
    settings = tuned(limits={"group_positions": 1}, groups=TECH)

    assert said(case(signal(), settings=settings, book=book("MSFT", "XOM"))) == [
        ("group_positions_limit", {"group": "tech", "limit": 1, "open": 1}),
        ("group_positions_limit", {"group": "large", "limit": 1, "open": 1}),
    ]
    # Both groups hold only the symbol itself. A symbol without a group has no group limit.
    assert said(case(signal(), settings=settings, book=book("AAPL"))) == []
    assert said(case(signal(symbol="KO"), settings=settings, book=book("MSFT", "NVDA"))) == []


@pytest.mark.parametrize(("ordered", "refused"), [(4, False), (5, True), (6, True)])
def test_a_day_has_so_many_entries(ordered: int, refused: bool) -> None:  # noqa: FBT001 -- a parameter
    judged = case(signal(), settings=tuned(limits={"orders_per_day": 5}), recent=Recent(orders_today=ordered))

    assert said(judged) == ([("orders_per_day_limit", {"limit": 5, "ordered": ordered})] if refused else [])


@pytest.mark.parametrize(
    ("stop", "distance"), [(None, None), ("98.5", None), ("98.49", "1.51"), ("101.5", None), (120, "20")]
)
def test_a_stop_is_near_enough_or_the_entry_is_refused(stop: Any, distance: str | None) -> None:
    sent = signal(stop_price=None if stop is None else Decimal(stop))
    found = said(case(sent, settings=tuned(limits={"stop_distance_percent": Decimal("1.5")})))

    assert [code for code, _ in found] == ([] if distance is None else ["stop_too_far"])
    assert [Decimal(facts["distance_percent"]) for _, facts in found] == (
        [] if distance is None else [Decimal(distance)]
    )


@pytest.mark.parametrize(
    ("most", "recent", "changes", "entries"),
    [
        (1, 0, {}, None),
        # A recorded holding whose position is gone does not count.
        (1, 3, {}, None),
        (1, 1, {"held": 5}, 1),
        (2, 1, {"held": 5}, None),
        (2, 2, {"held": 5}, 2),
        # The position has no recorded entries, so no strategy of ours opened it.
        (1, 0, {"held": 5}, 1),
        (2, 0, {"held": 5}, None),
        # Nothing is held yet, but an entry is open, or was filled after the account was read.
        (1, 1, {"under_way": (earlier(),)}, 1),
        (1, 1, {"book": book(pending=("AAPL",))}, 1),
    ],
)
def test_a_position_is_built_from_so_many_entries(
    most: int, recent: int, changes: dict[str, Any], entries: int | None
) -> None:
    settings = tuned(limits={"pyramiding": most})
    judged = case(signal(), settings=settings, recent=Recent(entries_in_symbol=recent), **changes)

    assert said(judged) == ([] if entries is None else [("pyramiding_limit", {"limit": most, "entries": entries})])


@pytest.mark.parametrize(
    ("price", "drift"), [(None, None), (101, None), (99, None), ("101.01", "1.01"), ("98.99", "1.01"), (150, "50")]
)
def test_a_price_that_moved_either_way_is_too_far(price: Any, drift: str | None) -> None:
    judged = case(
        signal(),
        settings=tuned(limits={"price_drift_percent": Decimal(1)}),
        price=None if price is None else Decimal(price),
        price_asked=True,
    )
    found = said(judged)

    assert [code for code, _ in found] == ([] if drift is None else ["price_drifted"])
    assert [Decimal(facts["drift_percent"]) for _, facts in found] == ([] if drift is None else [Decimal(drift)])


def test_a_price_that_was_read_for_the_stop_alone_has_not_drifted() -> None:
    assert said(case(signal(), settings=tuned(limits={"price_drift_percent": Decimal(1)}), price=Decimal(150))) == []


@pytest.mark.parametrize(
    ("closes_in_s", "is_open", "refused"), [(601, True, False), (600, True, True), (1, True, True), (1, False, False)]
)
def test_no_entry_is_taken_from_the_time_at_which_all_is_closed(
    closes_in_s: int,
    is_open: bool,  # noqa: FBT001 -- a parameter
    refused: bool,  # noqa: FBT001 -- a parameter
) -> None:
    closes = NOW + timedelta(seconds=closes_in_s)
    market = Market(is_open=is_open, now=NOW, next_open=OPEN.next_open, next_close=closes)
    judged = case(signal(), settings=tuned(firm={"flat_before_close_s": 600}), market=market)

    flat_by = (closes - timedelta(seconds=600)).isoformat()
    assert said(judged) == ([("flat_by_time", {"flat_by": flat_by, "closes": closes.isoformat()})] if refused else [])


@pytest.mark.parametrize(
    ("today", "best", "earned", "refused"),
    [
        # The profit of today is 30 percent of 10,000, and more than that of the best day so far.
        (3000, 2500, 10_000, True),
        (2999, 2500, 10_000, False),
        # Another day is the best one, so a profit of today only makes its share smaller.
        (3000, 3500, 10_000, False),
        # On the first day with a profit, its share is the whole profit.
        (3000, 0, 3000, False),
        (3000, 100, 0, True),
        (-3000, 2500, 10_000, False),
    ],
)
def test_a_day_earns_no_more_than_its_part(
    today: int,
    best: int,
    earned: int,
    refused: bool,  # noqa: FBT001 -- a parameter
) -> None:
    changes = {"equity": 100_000 + today, "best_day_profit": best, "earned": earned}
    baseline = type(STANDING)(**vars(STANDING) | {name: Decimal(value) for name, value in changes.items()})
    judged = case(signal(), settings=tuned(firm={"consistency_percent": 30}), baseline=baseline)

    assert [code for code, _ in said(judged)] == (["consistency_limit"] if refused else [])


def test_every_limit_that_is_broken_is_named() -> None:
    settings = tuned(
        limits={"open_positions": 1, "orders_per_day": 1, "stop_distance_percent": 1, "group_positions": 1},
        groups=TECH,
    )
    judged = case(signal(stop_price=Decimal(90)), settings=settings, book=book("MSFT"), recent=Recent(orders_today=1))

    assert [code for code, _ in said(judged)] == [
        "open_positions_limit",
        "group_positions_limit",
        "orders_per_day_limit",
        "stop_too_far",
    ]


def test_a_short_position_is_a_position() -> None:
    short = Position(
        symbol="MSFT",
        quantity=Decimal(-3),
        available=Decimal(-3),
        average_entry_price=Decimal(1),
        current_price=None,
    )

    judged = case(signal(), settings=tuned(limits={"open_positions": 1}), book=Book(positions=(short,)))
    assert [code for code, _ in said(judged)] == ["open_positions_limit"]
