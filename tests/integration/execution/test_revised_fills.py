"""Fills that the broker takes back or corrects: the record follows, whatever the broker's figures then contain."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import permutations
from typing import Any

import psycopg
import pytest

from pipeline.model.orders import OrderStatus
from tests.factories import until
from tests.integration.execution.test_fills import ACTIVITY, STREAM, OneOrder, order
from workers.execution.fills import record_fill, void_fill

__all__ = ["order"]

KEEPS = pytest.mark.parametrize("kept", [1, 0], ids=["the report keeps the fill", "the report drops the fill"])


def later(order: OneOrder) -> None:
    """Let the last fill be so old that a report of the order must contain it."""
    order.rows("UPDATE broker_order SET filled_at = filled_at - interval '10 seconds'")


def busted(order: OneOrder) -> None:
    """Fill 3 and 4 shares, and take the 3 back."""
    order.tell(order.fill(1, 3, 101, after=3))
    order.tell(order.fill(2, 4, 102, after=7))
    order.report(7, None)
    later(order)
    assert order.bust(order.fill(1, 3, 101))
    assert filled(order) == "4"


def filled(order: OneOrder) -> str:
    assert order.held() == {"": order.order()[0]}
    return order.order()[0]


@KEEPS
def test_after_a_bust_later_fills_and_reports_count(order: OneOrder, kept: int) -> None:
    busted(order)
    more = 3 * kept
    order.report(4 + more, None)
    assert filled(order) == "4"

    third = order.fill(3, 3, 103, after=7 + more)
    assert order.tell(third)
    order.report(7 + more, None)
    assert filled(order) == "7"
    order.report(9 + more, None)
    assert filled(order) == "9"
    assert order.tell(order.fill(4, 2, 104, after=9 + more), ACTIVITY)

    assert order.tell(third, ACTIVITY)
    again = [order.fill(1, 3, 101, after=3), order.fill(2, 4, 102, after=7), third]
    assert [order.tell(each) for each in again] == [False, False, False]
    assert not order.tell(again[0], ACTIVITY)
    assert order.fills()[0][:3] == ("f-2", "stream", "4")
    assert filled(order) == "9"


def test_a_report_that_contains_the_busted_fill_or_a_new_one_counts_when_the_fill_is_shown(order: OneOrder) -> None:
    busted(order)
    # The 3 shares that were taken back, or 3 new ones.
    order.report(7, None)
    assert filled(order) == "4"

    assert order.tell(order.fill(3, 3, 103, after=7))
    order.report(7, None)
    assert filled(order) == "7"
    order.report(9, None)
    assert filled(order) == "7"
    assert order.tell(order.fill(4, 2, 104, after=9), ACTIVITY)

    assert filled(order) == "9"


def test_a_smaller_report_just_after_a_fill_shows_nothing(order: OneOrder) -> None:
    busted(order)
    order.tell(order.fill(3, 2, 103, after=9))
    order.report(9, None)

    # A reading that is older than the last one.
    order.report(7, None)
    order.report(9, None)

    assert filled(order) == "6"


def test_a_report_may_go_without_one_of_two_busted_fills_first(order: OneOrder) -> None:
    for number, (quantity, after) in enumerate([(3, 3), (4, 7), (2, 9)], 1):
        order.tell(order.fill(number, quantity, 100 + number, after=after))
    order.report(9, None)
    later(order)
    order.bust(order.fill(1, 3, 101))
    order.bust(order.fill(3, 2, 103))

    for reported in (6, 4):
        order.report(reported, None)
        assert filled(order) == "4"

    order.report(5, None)
    assert filled(order) == "5"


def test_after_a_bust_the_list_decides_whether_two_fills_that_are_alike_are_one(order: OneOrder) -> None:
    order.tell(order.fill(1, 3, 101, after=3), ACTIVITY)
    order.tell(order.fill(2, 3, 101, after=6), ACTIVITY)
    order.bust(order.fill(1, 3, 101))
    alike = order.fill(3, 3, 101, after=6)

    # It may be the second one under another id.
    assert not order.tell(alike)
    assert order.tell(alike, ACTIVITY)

    assert filled(order) == "6"


@KEEPS
def test_after_a_correction_reports_count_with_the_old_quantity_or_with_the_new_one(order: OneOrder, kept: int) -> None:
    order.tell(order.fill(1, 4, 101, after=4))
    order.tell(order.fill(2, 6, 102, after=10))
    order.report(10, None)
    later(order)
    order.correct("f-2", order.fill(3, 5, 102, fill_id="c-1"))

    order.report(9 + kept, None)
    assert filled(order) == "9"
    order.report(10 + kept, None)

    assert filled(order) == "10"


def test_a_correction_leaves_what_is_not_itemised(order: OneOrder) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)
    order.tell(order.fill(2, 6, 102, after=10))

    assert order.correct("f-2", order.fill(3, 5, 102, fill_id="c-1"))

    assert filled(order) == "9"
    corrected, rest = order.fills()
    assert (corrected, rest[:3]) == (("c-1", "stream", "5", "102"), ("order:", "order", "4"))
    assert round(Decimal(rest[3]), 9) == 101


@pytest.mark.parametrize("listed", list(permutations(["f-1", "f-2", "c-1"])), ids=" ".join)
def test_a_correction_of_a_fill_that_was_not_itemised_counts_when_the_fill_is_listed(
    order: OneOrder, listed: tuple[str, ...]
) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)
    corrected = order.fill(3, 5, 103, fill_id="c-1")
    fills = {"f-1": order.fill(1, 4, 101, after=4), "f-2": order.fill(2, 6, 102, after=10), "c-1": corrected}

    assert order.correct("f-2", corrected)
    assert not order.correct("f-2", corrected)
    # By how much the order changed is not known.
    assert filled(order) == "10"
    for name in listed:
        assert order.tell(fills[name], ACTIVITY)

    assert filled(order) == "9"
    assert order.fills() == [("f-1", "activity", "4", "101"), ("c-1", "activity", "5", "103")]
    assert not any(order.tell(each, source) for each in fills.values() for source in (ACTIVITY, STREAM))
    order.report(10, "101.6", OrderStatus.FILLED)
    assert filled(order) == "9"


def test_a_correction_that_is_listed_under_the_id_of_the_fill_counts_once(order: OneOrder) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)
    order.correct("f-2", order.fill(3, 5, 103, fill_id="c-1"))

    assert not order.tell(order.fill(2, 5, 103, after=10), ACTIVITY)

    assert order.fills()[0] == ("c-1", "stream", "5", "103")
    assert filled(order) == "10"


def test_a_correction_that_is_listed_before_the_stream_tells_voids_the_fill(order: OneOrder) -> None:
    order.tell(order.fill(1, 4, 101, after=4), ACTIVITY)
    order.tell(order.fill(2, 6, 102, after=10), ACTIVITY)
    corrected = order.fill(3, 5, 103, fill_id="c-1")
    order.tell(corrected, ACTIVITY)

    assert order.correct("f-2", corrected)

    assert filled(order) == "9"
    assert [each[0] for each in order.fills()] == ["f-1", "c-1"]


def test_a_revision_may_name_a_corrected_fill_by_its_first_id(order: OneOrder) -> None:
    order.tell(order.fill(1, 4, 101, after=4))
    order.tell(order.fill(2, 6, 102, after=10))
    order.correct("f-2", order.fill(3, 5, 102, fill_id="c-1"))
    # The list names the correction by another id.
    assert order.tell(order.fill(3, 5, 102, after=10, fill_id="a-1"), ACTIVITY)
    assert not order.correct("f-2", order.fill(3, 5, 102, fill_id="c-1"))

    assert order.correct("f-2", order.fill(4, 3, 102, fill_id="c-2"))
    assert (filled(order), [each[0] for each in order.fills()]) == ("7", ["f-1", "c-2"])
    assert not order.correct("f-2", order.fill(4, 3, 102, fill_id="c-2"))
    assert order.bust(order.fill(2, 6, 102))
    assert not order.bust(order.fill(2, 6, 102))

    assert filled(order) == "4"


def test_a_revision_locks_the_holding_before_the_change_of_its_symbol(order: OneOrder, database_url: str) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)

    waits_for_the_holding(order, database_url, lambda one: void_fill(one, "PA1", order.fill(2, 6, 102, after=10)))

    assert filled(order) == "4"


def test_an_activity_that_replaces_a_fill_and_raises_the_order_locks_the_holding_first(
    order: OneOrder, database_url: str
) -> None:
    order.tell(order.fill(1, 3, 101, after=3))
    activity = order.fill(2, 4, 102, after=4)

    waits_for_the_holding(order, database_url, lambda one: record_fill(one, "PA1", activity, source=ACTIVITY))

    assert filled(order) == "4"


def waits_for_the_holding(order: OneOrder, database_url: str, unit: Callable[[Any], bool]) -> None:
    """Run *unit* while another order of the symbol locks the holding and then changes the symbol."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as other:
        # Another order of the symbol has changed the holding.
        other.execute("SELECT strategy FROM holding FOR UPDATE")
        told = pool.submit(order.record.run, unit)
        until(lambda: order.rows(waiting))

        other.execute("SET LOCAL lock_timeout = '300ms'")
        other.execute("UPDATE fill_change SET since = since")
        other.commit()

        assert told.result()
