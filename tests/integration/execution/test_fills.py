"""The record's fills: each is recorded once, and an order's fills always add up to its filled quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from pipeline.intake.intake import Intake
from pipeline.model.fills import FillReport, FillSource
from pipeline.model.orders import BrokerOrder, OrderSide, OrderStatus
from pipeline.monitoring.alerts.fill_conditions import busted_fills
from pipeline.store.record import Record
from tests.integration.execution_states import ExecutionStates, Rows
from workers.execution.broker_orders import record_broker_order
from workers.execution.fills import correct_fill, record_fill, void_fill

AT = datetime(2026, 7, 30, 14, 30, tzinfo=UTC)
WORKS = OrderStatus.PARTIALLY_FILLED
ACTIVITY, STREAM = FillSource.ACTIVITY, FillSource.STREAM


class OneOrder:
    """An entry for 10 AAPL at the broker, and what is reported of it."""

    #: Whether nothing else of the symbol is held.
    alone = True

    def __init__(self, record: Record, rows: Rows, execution_id: UUID) -> None:
        self.record, self.rows, self.execution_id = record, rows, execution_id
        self.client_order_id = f"tw-{execution_id}-1"

    def fill(self, number: int, quantity: object, price: object, after: object = None, fill_id: str = "") -> FillReport:
        return FillReport(
            fill_id=fill_id or f"f-{number}",
            order_id="o-1",
            symbol="AAPL",
            side=OrderSide.BUY,
            quantity=Decimal(str(quantity)),
            price=Decimal(str(price)),
            filled_at=AT + timedelta(seconds=number),
            cumulative_quantity=None if after is None else Decimal(str(after)),
        )

    def tell(self, report: FillReport, source: FillSource = STREAM) -> bool:
        return self._told(lambda connection: record_fill(connection, "PA1", report, source=source))

    def bust(self, report: FillReport) -> bool:
        return self._told(lambda connection: void_fill(connection, "PA1", report))

    def correct(self, previous: str, report: FillReport) -> bool:
        return self._told(lambda connection: correct_fill(connection, "PA1", previous, report))

    def reported(self, filled: object, average: object, status: OrderStatus) -> BrokerOrder:
        return BrokerOrder(
            order_id="o-1",
            client_order_id=self.client_order_id,
            symbol="AAPL",
            side=OrderSide.BUY,
            quantity=Decimal(10),
            filled_quantity=Decimal(str(filled)),
            filled_average_price=None if average is None else Decimal(str(average)),
            status=status,
            raw_status=status.value,
            created_at=None,
        )

    def report(self, filled: object, average: object, status: OrderStatus = WORKS) -> None:
        """Record the broker's report of the order."""
        order = self.reported(filled, average, status)
        self.record.run(lambda connection: record_broker_order(connection, order))
        self.check()

    def fills(self) -> list[tuple[str, str, str, str]]:
        """Return the fills that count: id, source, quantity and price."""
        found = self.rows("SELECT * FROM fill WHERE voided_at IS NULL ORDER BY filled_at, fill_id")
        return [
            (each["fill_id"][:6], each["source"], _plain(each["quantity"]), _plain(each["price"])) for each in found
        ]

    def order(self) -> tuple[str, str]:
        """Return the order's filled quantity and average price."""
        [found] = self.rows("SELECT * FROM broker_order")
        return _plain(found["filled_quantity"]), _plain(found["filled_average_price"])

    def held(self) -> dict[str, str]:
        return {
            row["strategy"]: _plain(row["quantity"]) for row in self.rows("SELECT * FROM holding ORDER BY strategy")
        }

    def check(self) -> None:
        """Check that the fills add up to the order and, if nothing else is held, to the holding."""
        if not self.alone:
            return
        [sums] = self.rows(
            "SELECT o.filled_quantity AS filled, sum(f.quantity) AS quantity, sum(f.quantity * f.price) AS value, "
            "o.filled_quantity * o.filled_average_price AS said, (SELECT sum(quantity) FROM holding) AS held "
            "FROM broker_order AS o LEFT JOIN fill AS f ON f.execution_id = o.execution_id AND f.voided_at IS NULL "
            "GROUP BY o.execution_id, o.generation"
        )
        assert (sums["quantity"] or 0) == sums["filled"] == (sums["held"] or 0)
        assert sums["value"] is None or abs(sums["value"] - sums["said"]) < Decimal("0.00001")

    def _told(self, unit: Callable[[Any], bool]) -> bool:
        is_new = self.record.run(unit)
        self.check()
        return is_new


def _plain(value: Decimal | None) -> str:
    return "none" if value is None else f"{value.normalize():f}"


@pytest.fixture
def order(database_url: str, intake: Intake, rows: Rows) -> Iterator[OneOrder]:
    states = ExecutionStates(intake, rows)
    execution_id = states.recorded()
    states.ordered(execution_id, order_id="o-1")
    with Record(database_url) as record:
        yield OneOrder(record, rows, execution_id)


def test_what_only_the_order_reports_is_one_row_that_shrinks_as_fills_come(order: OneOrder) -> None:
    order.report(4, 101)
    assert order.fills() == [("order:", "order", "4", "101")]
    order.report(10, "101.6", OrderStatus.FILLED)
    assert order.fills() == [("order:", "order", "10", "101.6")]

    assert order.tell(order.fill(1, 4, 101, after=4))
    assert order.fills() == [("f-1", "stream", "4", "101"), ("order:", "order", "6", "102")]
    assert order.tell(order.fill(2, 6, 102, after=10))

    assert order.fills() == [("f-1", "stream", "4", "101"), ("f-2", "stream", "6", "102")]
    assert order.order() == ("10", "101.6")


def test_a_fill_before_the_orders_report_raises_the_order(order: OneOrder) -> None:
    assert order.tell(order.fill(1, 4, 101, after=4))
    assert order.tell(order.fill(2, 2, 104, after=6))

    assert order.order() == ("6", "102")
    assert order.held() == {"": "6"}
    # The report lags behind.
    order.report(4, 101)
    assert order.order() == ("6", "102")
    assert [each[1] for each in order.fills()] == ["stream", "stream"]


def test_a_fill_whose_predecessor_was_missed_raises_the_order_by_both(order: OneOrder) -> None:
    order.tell(order.fill(2, 6, 110, after=10))
    assert order.fills() == [("f-2", "stream", "6", "110"), ("order:", "order", "4", "110")]

    order.report(10, 106, OrderStatus.FILLED)

    assert order.fills()[1] == ("order:", "order", "4", "100")
    order.tell(order.fill(1, 4, 100, after=4))
    assert [each[:2] for each in order.fills()] == [("f-1", "stream"), ("f-2", "stream")]


def test_a_fill_is_recorded_once_however_often_and_late_it_comes(order: OneOrder) -> None:
    first, second = order.fill(1, 4, 101, after=4), order.fill(2, 6, 102, after=10)
    assert [order.tell(second), order.tell(first)] == [True, True]

    assert [order.tell(first), order.tell(second)] == [False, False]
    # Under another id, the cumulative quantity shows that it is the same.
    assert not order.tell(order.fill(1, 4, 101, after=4, fill_id="other"))
    # And one whose cumulative quantity is another one has no room in what the order has filled.
    assert not order.tell(order.fill(1, 3, 101, after=7, fill_id="third"))
    assert order.order() == ("10", "101.6")


def test_a_fill_of_another_order_is_not_kept(order: OneOrder, rows: Rows) -> None:
    stray = FillReport(**vars(order.fill(1, 4, 101)) | {"order_id": "o-2"})

    assert not order.tell(stray)
    assert not order.record.run(lambda connection: record_fill(connection, "PA2", order.fill(1, 4, 101), source=STREAM))
    assert rows("SELECT * FROM fill") == []


def test_activities_confirm_the_streams_fills_under_their_own_ids(order: OneOrder) -> None:
    order.tell(order.fill(1, 4, 101, after=4, fill_id="s-1"))
    order.tell(order.fill(2, 6, 102, fill_id="s-2"))

    assert order.tell(order.fill(1, 4, 101, after=4, fill_id="a-1"), ACTIVITY)
    assert order.tell(order.fill(2, 6, 102, after=10, fill_id="a-2"), ACTIVITY)

    assert order.fills() == [("a-1", "activity", "4", "101"), ("a-2", "activity", "6", "102")]
    assert not order.tell(order.fill(2, 6, 102, after=10, fill_id="a-2"), ACTIVITY)
    assert not order.tell(order.fill(1, 4, 101, after=4, fill_id="s-1"))
    assert not order.tell(order.fill(2, 6, 102, fill_id="s-2"))
    # The broker takes a fill back by the id that its stream has used.
    assert order.bust(order.fill(2, 6, 102, fill_id="s-2"))
    assert order.fills() == [("a-1", "activity", "4", "101")]


def test_activities_that_add_up_to_the_order_replace_the_fills_of_the_stream(order: OneOrder) -> None:
    order.report(10, "101.7", OrderStatus.FILLED)
    order.tell(order.fill(1, 3, 101, after=3))
    order.tell(order.fill(2, 7, 102, after=None))

    order.tell(order.fill(1, 5, "101.4", after=5, fill_id="a-1"), ACTIVITY)
    order.tell(order.fill(2, 5, 102, after=10, fill_id="a-2"), ACTIVITY)

    assert order.fills() == [("a-1", "activity", "5", "101.4"), ("a-2", "activity", "5", "102")]
    assert not order.tell(order.fill(1, 3, 101, after=3))
    assert not order.tell(order.fill(2, 7, 102))


def test_a_fill_after_the_end_of_the_order_counts(order: OneOrder) -> None:
    order.report(4, 101, OrderStatus.CANCELED)

    order.tell(order.fill(2, 2, 104, after=6))

    assert order.order() == ("6", "102")
    assert order.fills() == [("f-2", "stream", "2", "104"), ("order:", "order", "4", "101")]


def test_an_order_without_an_average_has_a_row_without_a_price(order: OneOrder) -> None:
    order.report(4, None)
    assert order.fills() == [("order:", "order", "4", "none")]

    order.report(4, 101)

    assert order.fills() == [("order:", "order", "4", "101")]


def test_fills_that_cost_more_than_the_order_leave_the_rest_at_its_average(order: OneOrder) -> None:
    order.tell(order.fill(1, 9, 101, after=9))

    with capture_logs() as logs:
        order.record.do("UPDATE broker_order SET filled_quantity = 10, filled_average_price = 50")

    assert [(each["event"], each["log_level"]) for each in logs] == [("fill.price_doubtful", "warning")]
    assert order.fills()[1] == ("order:", "order", "1", "50")


def test_a_busted_fill_is_taken_from_the_order_and_the_holding(order: OneOrder) -> None:
    order.tell(order.fill(1, 4, 101, after=4))
    order.tell(order.fill(2, 6, 102, after=10))
    order.report(10, "101.6", OrderStatus.FILLED)

    assert order.bust(order.fill(2, 6, 102))

    assert (order.order(), order.held()) == (("4", "101"), {"": "4"})
    assert not order.bust(order.fill(2, 6, 102))
    late = order.fill(2, 6, 102, after=10)
    assert [order.tell(late), order.tell(late, ACTIVITY)] == [False, False]
    # The broker's report may go on with the fill, or go without it.
    order.report(10, "101.6", OrderStatus.FILLED)
    order.report(4, 101, OrderStatus.FILLED)
    assert (order.order(), order.held()) == (("4", "101"), {"": "4"})
    assert order.bust(order.fill(1, 4, 101))
    assert order.order() == ("0", "none")


def test_a_busted_fill_raises_an_alert_and_leaves_the_executions_state(order: OneOrder, rows: Rows) -> None:
    order.tell(order.fill(1, 4, 101, after=4))
    order.tell(order.fill(2, 6, "102.50", after=10))
    order.correct("f-1", order.fill(3, 4, 100, fill_id="c-1"))
    assert order.record.run(lambda connection: busted_fills(connection, {})).raised == ()

    order.bust(order.fill(2, 6, "102.50"))

    [alert] = order.record.run(lambda connection: busted_fills(connection, {})).raised
    assert (alert.key, alert.severity) == ("fill_busted:PA1:f-2", "critical")
    assert alert.subject == "the broker took back a fill of argo: buy 6 AAPL at 102.5"
    assert [row["state"] for row in rows("SELECT state FROM execution WHERE executor_id = 'argo'")] == ["queued"]


def test_a_bust_that_comes_before_its_fill_or_for_one_that_was_never_itemised(order: OneOrder) -> None:
    order.report(10, "101.6", OrderStatus.FILLED)

    assert order.bust(order.fill(2, 6, 102, after=10))

    assert order.fills() == [("order:", "order", "4", "101")]
    assert not order.tell(order.fill(2, 6, 102, after=10))
    # The broker's average price still counts the fill.
    order.report(10, "101.6", OrderStatus.FILLED)
    assert order.order() == ("4", "101")


@pytest.mark.parametrize(
    ("quantity", "price", "now"),
    [(6, 103, ("10", "102.2")), (5, 102, ("9", "101.555556")), (7, 100, ("11", "100.363636"))],
)
def test_a_corrected_fill_changes_the_order(order: OneOrder, quantity: int, price: int, now: tuple[str, str]) -> None:
    order.tell(order.fill(1, 4, 101, after=4))
    order.tell(order.fill(2, 6, 102, after=10))
    order.report(10, "101.6", OrderStatus.FILLED)
    opened = order.rows("SELECT opened_at FROM holding")
    corrected = order.fill(3, quantity, price, fill_id="c-1")

    assert order.correct("f-2", corrected)

    assert (order.order()[0], str(round(Decimal(order.order()[1]), 6).normalize())) == now
    assert not order.correct("f-2", corrected)
    assert not order.tell(order.fill(2, 6, 102, after=10))
    order.report(10, "101.6", OrderStatus.FILLED)
    assert order.order()[0] == now[0]
    assert order.rows("SELECT opened_at FROM holding") == opened


def test_a_corrected_fill_does_not_close_the_holding_in_between(order: OneOrder, rows: Rows) -> None:
    order.tell(order.fill(1, 10, 101, after=10))
    before = rows("SELECT opened_at, entries FROM holding")

    order.correct("f-1", order.fill(2, 10, 102, fill_id="c-1"))

    assert rows("SELECT opened_at, entries FROM holding") == before
    assert order.order() == ("10", "102")


def test_every_change_of_a_fill_names_its_symbol_and_the_earliest_time(order: OneOrder, rows: Rows) -> None:
    order.tell(order.fill(2, 6, 102, after=10))
    order.tell(order.fill(1, 4, 101, after=4))
    assert [(row["symbol"], row["since"]) for row in rows("SELECT * FROM fill_change")] == [
        ("AAPL", AT + timedelta(seconds=1))
    ]

    rows("DELETE FROM fill_change")
    order.bust(order.fill(2, 6, 102))

    assert [row["since"] for row in rows("SELECT * FROM fill_change")] == [AT + timedelta(seconds=2)]


def test_a_busted_exit_gives_back_to_the_strategies_what_it_took_from_them_last(order: OneOrder, rows: Rows) -> None:
    order.alone = False
    rows("UPDATE broker_order SET role = 'exit', side = 'sell', strategy = 'one'")
    rows(
        "INSERT INTO holding (account_number, symbol, strategy, quantity, entries, opened_at, stop_price) VALUES "
        "('PA1', 'AAPL', 'one', 4, 2, now(), 90), ('PA1', 'AAPL', 'two', 3, 1, now(), NULL)"
    )
    before = rows("SELECT strategy, quantity, entries, opened_at, stop_price FROM holding ORDER BY strategy")
    # The other 3 shares were bought by hand.
    order.tell(order.fill(1, 5, 101, after=5))
    order.tell(order.fill(2, 5, 101, after=10))
    assert order.held() == {"one": "0", "two": "0"}

    assert order.bust(order.fill(2, 5, 101))
    assert order.held() == {"one": "0", "two": "2"}
    assert order.bust(order.fill(1, 5, 101))

    assert rows("SELECT strategy, quantity, entries, opened_at, stop_price FROM holding ORDER BY strategy") == before


def test_a_busted_entry_is_one_entry_less(order: OneOrder, rows: Rows) -> None:
    rows(
        "INSERT INTO holding (account_number, symbol, strategy, quantity, entries, opened_at) "
        "VALUES ('PA1', 'AAPL', '', 2, 1, now())"
    )
    order.alone = False
    order.tell(order.fill(1, 5, 101, after=5))
    assert [(row["quantity"], row["entries"]) for row in rows("SELECT * FROM holding")] == [(7, 2)]

    order.bust(order.fill(1, 5, 101))

    assert [(row["quantity"], row["entries"]) for row in rows("SELECT * FROM holding")] == [(2, 1)]


def test_fills_and_reports_at_the_same_time_leave_one_sum(order: OneOrder) -> None:
    fills = [order.fill(number, 1, 100 + number, after=number) for number in range(1, 11)]
    units: list[Callable[[Any], object]] = [
        partial(record_fill, account_number="PA1", report=fill, source=source)
        for fill in fills
        for source in (STREAM, ACTIVITY)
    ]
    units += [partial(record_broker_order, order=order.reported(number, None, WORKS)) for number in (3, 6, 10)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(order.record.run, units))

    order.check()
    assert [each[:3] for each in order.fills()] == [(f"f-{number}", "activity", "1") for number in range(1, 11)]
    assert order.order() == ("10", "105.5")


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_the_reports_come_the_record_ends_with_the_brokers_fills(order: OneOrder, seed: int) -> None:
    random = Random(seed)
    fills = list(_random_fills(order, random))
    total = sum(fill.quantity for fill in fills)
    value = sum(fill.quantity * fill.price for fill in fills)
    # Some fills have another id in the stream, some of its events are lost, doubled or without a cumulative quantity.
    heard = [
        replace(
            fill,
            fill_id=random.choice([fill.fill_id, f"s-{fill.fill_id}"]),
            cumulative_quantity=random.choice([fill.cumulative_quantity, fill.cumulative_quantity, None]),
        )
        for fill in fills
        if random.random() < 0.8
    ]
    events: list[Callable[[], object]] = [partial(order.tell, fill) for fill in [*heard, *heard]]
    events += [partial(order.tell, fill, ACTIVITY) for fill in fills if random.random() < 0.6]
    events += [
        partial(
            order.report, fill.cumulative_quantity, sum(_cost(each) for each in fills[:n]) / fill.cumulative_quantity
        )
        for n, fill in enumerate(fills, 1)
        if fill.cumulative_quantity is not None
    ]
    random.shuffle(events)

    for event in events:
        event()
    for fill in fills:
        order.tell(fill, ACTIVITY)
    order.report(total, value / total, OrderStatus.FILLED)

    assert [each[1:3] for each in order.fills()] == [("activity", _plain(fill.quantity)) for fill in fills]
    assert order.order()[0] == _plain(Decimal(total))
    assert order.rows("SELECT sum(quantity * price) AS value FROM fill WHERE voided_at IS NULL") == [{"value": value}]


def _random_fills(order: OneOrder, random: Random) -> Iterator[FillReport]:
    after = Decimal(0)
    for number in range(1, 7):
        quantity = Decimal(random.choice(["1", "1", "2.5", "0.123456789"]))
        after += quantity
        yield order.fill(number, quantity, random.choice(["100", "101.25", "99.9999"]), after=after)


def _cost(fill: FillReport) -> Decimal:
    return fill.quantity * fill.price
