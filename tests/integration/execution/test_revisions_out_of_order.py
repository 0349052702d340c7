"""Fills that are taken back or corrected while reports, the stream and the list disagree: the quantity ends right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import dict_row

from pipeline.model.orders import OrderStatus
from tests.factories import until
from tests.integration.execution.test_fills import ACTIVITY, WORKS, OneOrder
from tests.integration.execution.test_revised_fills import busted, filled, later, order
from workers.execution.broker_orders import record_broker_order
from workers.execution.fills import correct_fill, record_fill

__all__ = ["order"]


@pytest.mark.parametrize("polled_first", [True, False])
def test_an_increase_by_a_correction_counts_once_if_a_poll_shows_it_first(order: OneOrder, polled_first: bool) -> None:  # noqa: FBT001
    order.tell(order.fill(1, 1, 101, after=1))
    order.tell(order.fill(2, 2, 101, after=3))
    order.report(3, 101)
    later(order)
    if polled_first:
        order.report(5, 101)
    order.correct("f-1", order.fill(3, 3, 107, fill_id="c-1"))
    if not polled_first:
        order.report(5, 101)
    for listed in (order.fill(3, 3, 107, fill_id="c-1"), order.fill(2, 2, 101, after=5)):
        order.tell(listed, ACTIVITY)
    order.report(5, "104.6", OrderStatus.FILLED)

    assert filled(order) == "5"
    assert [fill[1] for fill in order.fills()] == ["activity"] * 2


@pytest.mark.parametrize("listed", [["c-2"], ["f-2", "c-2"], ["f-2", "c-1", "c-2"], ["c-1"]])
def test_a_correction_of_a_correction_may_come_first(order: OneOrder, listed: list[str]) -> None:
    order.tell(order.fill(1, 2, 101, after=2))
    order.tell(order.fill(2, 6, 102, after=8))
    known = {
        "f-2": order.fill(2, 6, 102, after=8),
        "c-1": order.fill(3, 5, 102, fill_id="c-1"),
        "c-2": order.fill(4, 3, 102, fill_id="c-2"),
    }
    order.correct("c-1", known["c-2"])
    order.correct("f-2", known["c-1"])
    order.tell(order.fill(1, 2, 101, after=2), ACTIVITY)
    for fill_id in listed:
        order.tell(known[fill_id], ACTIVITY)

    assert filled(order) == "5"


def test_a_report_with_a_correction_and_without_a_bust_counts_no_more_than_is_certain(order: OneOrder) -> None:
    order.tell(order.fill(1, 3, 101, after=3))
    order.tell(order.fill(2, 4, 102, after=7))
    order.report(7, None)
    later(order)
    order.correct("f-2", order.fill(3, 6, 102, fill_id="c-1"))
    order.bust(order.fill(1, 3, 101))
    order.report(9, None)

    assert filled(order) == "6"


@pytest.mark.parametrize("polled", [False, True])
def test_a_fill_that_is_like_the_busted_one_counts(order: OneOrder, polled: bool) -> None:  # noqa: FBT001
    order.tell(order.fill(1, 3, 102, after=3))
    order.report(3, 102)
    later(order)
    order.bust(order.fill(1, 3, 102))
    if polled:
        order.report(0, None)
    order.report(3, 102)
    order.tell(order.fill(2, 3, 102, after=3), ACTIVITY)

    assert filled(order) == "3"
    assert [fill[:2] for fill in order.fills()] == [("f-2", "activity")]


@pytest.mark.parametrize("kept", [0, 1])
def test_a_bust_before_its_fill_hides_no_fill_that_is_alike(order: OneOrder, kept: int) -> None:
    order.bust(order.fill(1, 3, 101))
    later(order)
    order.report(3 + 3 * kept, 101)
    order.tell(order.fill(2, 3, 101, after=3 + 3 * kept), ACTIVITY)
    order.tell(order.fill(1, 3, 101, after=3), ACTIVITY)
    order.report(3 + 3 * kept, 101)

    assert filled(order) == "3"
    assert [fill[:2] for fill in order.fills()] == [("f-2", "activity")]


def test_a_fill_that_is_listed_while_its_correction_is_recorded_counts_no_more(
    order: OneOrder, database_url: str
) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)
    order.tell(order.fill(1, 4, 101, after=4), ACTIVITY)
    late = order.fill(2, 6, 102, after=10)
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url, row_factory=dict_row) as tracker:
        correct_fill(tracker, "PA1", "f-2", order.fill(3, 5, 103, fill_id="c-1"))
        listed = pool.submit(order.record.run, lambda one: record_fill(one, "PA1", late, source=ACTIVITY))
        until(lambda: order.rows(waiting))
        tracker.commit()

        assert listed.result()

    assert filled(order) == "9"
    assert [fill[0] for fill in order.fills()] == ["f-1", "c-1"]


def test_a_bust_of_a_fill_that_is_not_itemised_counts_although_a_listed_fill_is_alike(order: OneOrder) -> None:
    order.report(6, 101)
    order.tell(order.fill(1, 3, 101, after=3), ACTIVITY)

    assert order.bust(order.fill(2, 3, 101))
    assert not order.tell(order.fill(2, 3, 101, after=6), ACTIVITY)

    assert filled(order) == "3"


@pytest.mark.parametrize("terms", [(6, 102), (5, 103)], ids=["of the fill", "of its correction"])
@pytest.mark.parametrize("listed_first", [True, False])
def test_a_bust_may_name_a_corrected_fill_by_its_first_id(
    order: OneOrder,
    listed_first: bool,  # noqa: FBT001
    terms: tuple[int, int],
) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)
    order.tell(order.fill(1, 4, 101, after=4), ACTIVITY)
    order.correct("f-2", order.fill(3, 5, 103, fill_id="c-1"))
    if listed_first:
        order.tell(order.fill(2, 6, 102, after=10), ACTIVITY)

    assert order.bust(order.fill(2, *terms))
    assert not order.bust(order.fill(2, *terms))
    order.tell(order.fill(2, 6, 102, after=10), ACTIVITY)
    order.tell(order.fill(3, 5, 103, after=10, fill_id="c-1"), ACTIVITY)

    assert filled(order) == "4"


@pytest.mark.parametrize("listed", [[], ["f-2", "c-1", "c-2"], ["c-1", "c-2"]], ids=" ".join)
@pytest.mark.parametrize("listed_first", [True, False])
def test_two_corrections_may_name_a_fill_by_its_first_id(
    order: OneOrder,
    listed_first: bool,  # noqa: FBT001
    listed: list[str],
) -> None:
    known = {
        "f-2": order.fill(2, 6, 102, after=10),
        "c-1": order.fill(3, 5, 103, fill_id="c-1"),
        "c-2": order.fill(4, 3, 103, fill_id="c-2"),
    }
    order.report(10, "101.6", OrderStatus.FILLED)
    order.tell(order.fill(1, 4, 101, after=4), ACTIVITY)
    if listed_first:
        for fill_id in listed:
            order.tell(known[fill_id], ACTIVITY)
    for fill_id in ("c-1", "c-2", "c-1", "c-2"):
        order.correct("f-2", known[fill_id])
    for fill_id in (*listed, "f-2"):
        order.tell(known[fill_id], ACTIVITY)

    assert filled(order) == "7"
    assert [fill[0] for fill in order.fills()] == ["f-1", "c-2"]


def test_a_bust_counts_although_the_list_has_replaced_the_fill_before(order: OneOrder) -> None:
    order.tell(order.fill(1, 2, 101, after=2))
    # The list goes without the fill, which the broker has taken back, and so does the report.
    order.tell(order.fill(2, 1, 101, after=1), ACTIVITY)
    assert order.fills() == [("f-2", "activity", "1", "101"), ("order:", "order", "1", "101")]

    assert order.bust(order.fill(1, 2, 101))
    assert not order.bust(order.fill(1, 2, 101))
    order.report(1, 101)

    assert filled(order) == "1"


def test_a_new_fill_counts_while_its_order_is_reported_with_the_smaller_quantity_before_a_correction(
    order: OneOrder,
) -> None:
    order.tell(order.fill(1, 2, 102, after=2))
    order.correct("f-1", order.fill(2, 3, 102, fill_id="c-1"))
    order.tell(order.fill(3, 3, 101, after=5))
    order.report(5, None)

    assert order.tell(order.fill(4, 1, 101, after=6))

    assert filled(order) == "7"


def test_a_correction_under_the_id_of_its_fill_voids_nothing(order: OneOrder) -> None:
    order.tell(order.fill(1, 6, 102, after=6))

    assert not order.correct("f-1", order.fill(1, 5, 102))

    assert filled(order) == "6"


def test_a_report_that_is_older_than_a_counted_fill_shows_nothing(order: OneOrder) -> None:
    busted(order)
    order.report(3, None)
    order.report(7, None)

    assert filled(order) == "4"


def test_a_smaller_report_of_an_order_that_was_replaced_shows_nothing(order: OneOrder) -> None:
    busted(order)
    both = replace(order.reported(9, None, WORKS), replacement_quantity=Decimal(12))
    order.tell(order.fill(3, 2, 103))
    later(order)
    for report in (both, order.reported(7, None, WORKS), both):
        order.record.run(lambda connection, report=report: record_broker_order(connection, report))

    assert filled(order) == "6"
