"""The keeper itemises fills from the broker's list of activities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, cast
from uuid import UUID

from alpaca.trading.client import TradingClient

from config.schema.broker_hosts import EXCHANGE_SECRET
from pipeline.model.fills import FillReport, FillSource
from pipeline.model.orders import OrderSide
from pipeline.model.outages import Need, Outage
from tests.factories import Core, until
from tests.integration.keeper.orders_at_rest import status_at_exchange
from tests.integration.keeper.test_replaced_orders import followed, status_of
from tests.integration.keeper.test_replaced_orders import replace as by_a_person
from workers.brokers.guarded import GuardedBroker
from workers.brokers.protocol import Broker
from workers.brokers.request_guard import RequestGuard
from workers.execution.fills import record_fill, void_fill
from workers.keeper.fill_sync import FillSync


class Noted:
    """A broker that does not list the fills of one order, and since when its fills were listed."""

    def __init__(self, broker: GuardedBroker, *, hides: str = "") -> None:
        self._broker = broker
        self._hides = hides
        self.since: list[datetime] = []

    def fills(self, since: datetime, **options: Any) -> Sequence[FillReport]:
        self.since.append(since)
        return [fill for fill in self._broker.fills(since, **options) if fill.order_id != self._hides]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def fill_sync(core: Core, **changes: Any) -> FillSync:
    runtime = replace(core.runtimes["argo"], **changes)
    return FillSync(record=core.record, runtime=runtime)


def later(core: Core) -> None:
    """Let the fills be older than the first pause."""
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '2 seconds'")


def fills(core: Core) -> list[tuple[str, int, int]]:
    rows = core.rows("SELECT * FROM fill ORDER BY filled_at, fill_id")
    return [(row["source"], row["quantity"], row["price"]) for row in rows]


def half_filled(core: Core, *, then_s: float = 3600.0) -> UUID:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": then_s, "count": 1})
    execution_id = core.send(quantity=10)
    core.run(execution_id)
    until(lambda: status_at_exchange(core) == "partially_filled")
    core.follower().run_once()
    return execution_id


def test_what_an_order_has_filled_is_itemised_from_the_list(core: Core) -> None:
    execution_id = half_filled(core)
    core.prices(AAPL=99)
    sync = fill_sync(core)
    assert fills(core) == [("order", 5, 100)]
    assert sync.run_once() == 0

    later(core)

    assert sync.run_once() == 1
    assert fills(core) == [("activity", 5, 100)]
    assert core.execution(execution_id)["filled_quantity"] == 5


def test_no_request_is_made_while_nothing_is_missing_or_a_day_has_passed(core: Core) -> None:
    sync = fill_sync(core)
    before = core.exchange.requests("argo")
    assert sync.run_once() == 0
    half_filled(core)
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '25 hours'")
    counted = core.exchange.requests("argo")

    assert sync.run_once() == 0

    assert core.exchange.requests("argo") == counted != before
    assert fills(core) == [("order", 5, 100)]


def test_the_fills_of_all_orders_cost_exactly_what_the_exchange_booked(core: Core) -> None:
    core.prices(AAPL="99.13")
    # The first part fills at the market's price, the rest at the limit, after the order was polled.
    whole = half_filled(core, then_s=0.3)
    until(lambda: status_at_exchange(core) == "filled")
    canceled = half_filled(core)
    core.runtimes["argo"].broker.cancel(core.execution(canceled)["order_id"])
    until(lambda: status_at_exchange(core) == "canceled")
    core.follower().run_once()
    core.prices(AAPL="101.27")
    sold = core.send("AAPL", "SELL")
    core.run(sold)
    until(lambda: core.follower().run_once() or core.state(sold) == "filled")
    assert {source for source, _, _ in fills(core)} == {"order"}
    later(core)

    assert fill_sync(core).run_once() == 4

    exchange = TradingClient("argo", EXCHANGE_SECRET, raw_data=True, url_override=core.exchange.url)
    booked: Any = exchange.get("/account/activities/FILL", {"direction": "asc"})
    rows = core.rows("SELECT * FROM fill ORDER BY filled_at")
    assert [_figures(each["qty"], each["price"], each["side"]) for each in booked] == [
        _figures(each["quantity"], each["price"], each["side"]) for each in rows
    ]
    assert [each["id"].rpartition("::")[2] for each in booked] == [each["fill_id"] for each in rows]
    assert [core.state(each) for each in (whole, canceled, sold)] == ["filled", "canceled", "filled"]
    [order] = [each for each in core.orders() if each["client_order_id"] == core.execution(whole)["client_order_id"]]
    assert core.execution(whole)["filled_average_price"] == Decimal(order["filled_avg_price"])
    assert fill_sync(core).run_once() == 0


def _figures(quantity: object, price: object, side: str) -> tuple[Decimal, Decimal, str]:
    return Decimal(str(quantity)), Decimal(str(price)), side


def test_a_fill_that_the_list_never_shows_makes_no_reading_of_others_longer(core: Core) -> None:
    lost = core.execution(half_filled(core))
    core.rows("UPDATE broker_order SET intended_at = intended_at - interval '6 hours'")
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '1 minute'")
    now, noted = [1000.0], Noted(core.runtimes["argo"].broker, hides=lost["order_id"])
    sync = replace(fill_sync(core, broker=noted), clock=lambda: now[0])
    for after_s in (0, 10, 10, 10):
        now[0] += after_s
        assert sync.run_once() == 0
    # At once, after 10 s and after 20 s more.
    assert len(noted.since) == 3

    half_filled(core)
    core.rows(
        "UPDATE fill SET recorded_at = recorded_at - interval '2 seconds' WHERE execution_id <> %s",
        [lost["execution_id"]],
    )
    now[0] += 10
    assert sync.run_once() == 1

    assert [datetime.now(UTC) - since > timedelta(hours=5) for since in noted.since] == [True, True, True, False]
    now[0] += 30
    sync.run_once()
    assert datetime.now(UTC) - noted.since[-1] > timedelta(hours=5)


def test_the_fills_of_a_replacement_are_itemised_as_well(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600, "count": 1})
    execution_id = core.send(quantity=4)
    core.run(execution_id)
    followed(core, execution_id, "partially_filled")
    last = by_a_person(core, core.execution(execution_id)["order_id"], price=50, quantity=4)
    core.follower().run_once()
    core.prices(AAPL=50)
    until(lambda: status_of(core, last) == "filled")
    followed(core, execution_id, "filled")
    later(core)

    assert fill_sync(core).run_once() == 2

    assert fills(core) == [("activity", 2, 100), ("activity", 2, 50)]
    assert core.execution(execution_id)["filled_quantity"] == 4


def test_a_busted_fill_has_the_list_read_while_the_report_may_contain_another_one(core: Core) -> None:
    execution_id = half_filled(core)
    later(core)
    assert fill_sync(core).run_once() == 1
    [fill] = core.rows("SELECT * FROM fill")
    report = FillReport(
        fill_id=fill["fill_id"], order_id=core.execution(execution_id)["order_id"], symbol="AAPL", side=OrderSide.BUY,
        quantity=fill["quantity"], price=fill["price"], filled_at=fill["filled_at"],
    )  # fmt: skip
    core.record.run(lambda connection: void_fill(connection, fill["account_number"], report))
    noted = Noted(core.runtimes["argo"].broker)
    core.rows("UPDATE fill SET voided_at = voided_at - interval '2 seconds'")

    assert fill_sync(core, broker=noted).run_once() == 0

    assert len(noted.since) == 1
    # The report goes without the fill.
    core.rows("UPDATE broker_order SET busted_quantity = 0, report_quantity = 0")
    assert fill_sync(core, broker=noted).run_once() == 0
    assert len(noted.since) == 1


def test_a_broker_without_a_list_of_fills_is_not_asked_for_one(core: Core) -> None:
    half_filled(core)
    later(core)
    guard = RequestGuard(outage=Outage(Need.BROKER))

    assert fill_sync(core, broker=GuardedBroker(cast("Broker", object()), guard)).run_once() == 0

    assert fills(core) == [("order", 5, 100)]


def test_a_poll_sees_that_the_report_goes_without_a_busted_fill_although_it_equals_the_record(core: Core) -> None:
    order = core.execution(half_filled(core))
    # The exchange has filled 5 and reports 5. Its report contained the 3 that it took back.
    busted = FillReport(
        fill_id="f-2", order_id=order["order_id"], symbol="AAPL", side=OrderSide.BUY, quantity=Decimal(3),
        price=Decimal(100), filled_at=datetime.now(UTC), cumulative_quantity=Decimal(8),
    )  # fmt: skip
    for change in (partial(record_fill, source=FillSource.STREAM), void_fill):
        core.record.run(partial(change, account_number=order["account_number"], report=busted))
    core.rows("UPDATE broker_order SET filled_at = filled_at - interval '10 seconds'")

    core.follower().run_once()

    [now] = core.rows("SELECT * FROM broker_order")
    assert (now["filled_quantity"], now["busted_quantity"], now["report_quantity"]) == (5, 0, 5)
