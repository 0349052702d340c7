"""A stop order protects what is really held, keeps no exit from the broker, and does not outlive its position."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pipeline.accounts.books.settle import settle
from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.model.reasons import Code
from pipeline.monitoring.alerts.protection_conditions import unprotected_positions
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.protecting import keeper, protected, protections, steps_until, stop_orders
from tests.integration.keeper.test_stops import followed, positions
from workers.brokers.protocol import Accepted

pytestmark = pytest.mark.timeout(120)


def test_a_sale_that_the_stop_has_made_needless_opens_no_short(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    protected(core)
    sale = core.send("AAPL", "SELL", entry_price=89, stop_price=110)
    core.prices(AAPL=89)
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "filled")

    core.due_now(sale)
    core.run(sale)

    assert (core.state(sale), core.execution(sale)["reason_code"]) == ("skipped", Code.NO_POSITION)
    assert positions(core) == {}


def test_an_exit_cancels_foreign_orders_beside_the_stop_of_another_strategy(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(order='cancel_foreign = "always"'))
    core.prices(AAPL=100)
    for strategy, stop in (("a", None), ("b", 80)):
        entry = core.send("AAPL", quantity=10, strategy=strategy, stop_price=stop)
        core.run(entry)
        followed(core, entry, "filled")
    steps_until(core, lambda: stop_orders(core))
    by_hand = OrderRequest(
        client_order_id="by-hand-stop",
        symbol="AAPL",
        side=OrderSide.SELL,
        quantity=Decimal(10),
        type="stop",
        time_in_force="gtc",
        limit_price=None,
        stop_price=Decimal(70),
    )
    assert isinstance(core.runtimes["argo"].broker.submit(by_hand), Accepted)
    sale = core.send("AAPL", "SELL", strategy="a")

    steps_until(core, lambda: core.state(sale) == "filled")

    assert positions(core) == {"AAPL": 10}
    assert [each["stop_price"] for each in stop_orders(core)] == ["80"]


def test_an_entry_that_rests_does_not_keep_the_stop_of_another_one_away(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")
    resting = core.send("AAPL", quantity=1, entry_price=95)
    core.run(resting)
    followed(core, resting, "accepted")
    core.rows("UPDATE holding SET changed_at = changed_at - interval '3 seconds'")
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '3 seconds'")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert (order["qty"], core.state(resting)) == ("10", "canceled")


def test_a_stop_that_the_broker_does_not_show_any_more_is_placed_again(core: Core) -> None:
    order = protected(core)
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: not stop_orders(core))
    core.rows("UPDATE execution SET state = 'dead', reason_code = 'order_vanished' WHERE state = 'accepted'")
    core.rows("UPDATE execution SET created_at = created_at - interval '2 hours'")

    assert keeper(core).run_once() == 1


def test_a_coin_whose_fee_was_taken_from_the_coins_counts_as_protected(core: Core) -> None:
    order = protected(core, "ETH/USD", quantity=1, stop=90)
    # The pause between two stop orders is over.
    core.rows("UPDATE execution SET created_at = created_at - interval '2 hours'")

    assert Decimal(order["qty"]) == Decimal("0.9975")
    assert keeper(core).run_once() == 0


def test_a_stop_of_a_coin_closes_the_whole_holding_fee_included(core: Core) -> None:
    protected(core, "ETH/USD", quantity=1, stop=90)

    core.prices(**{"ETH/USD": 89})

    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "filled")
    assert [row["quantity"] for row in core.rows("SELECT quantity FROM holding")] == [0]
    settle(core.record, limit=10)
    assert len(core.rows("SELECT 1 FROM trade WHERE exit_reason = 'stop'")) == 1


def test_a_stop_ends_with_the_holding_that_it_protects(core: Core) -> None:
    protected(core)
    core.rows("UPDATE holding SET quantity = 0, entries = 0, opened_at = NULL, stop_price = NULL")

    steps_until(core, lambda: not stop_orders(core))


def test_a_new_entry_after_a_canceled_stop_is_protected(core: Core) -> None:
    order = protected(core)
    core.rows("UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE order_id = %s", [order["id"]])
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")
    entry = core.send("AAPL", quantity=5, stop_price=85)
    core.run(entry)
    followed(core, entry, "filled")

    [again] = steps_until(core, lambda: stop_orders(core))

    assert (again["qty"], again["stop_price"]) == ("15", "85")


def test_a_resting_entry_keeps_no_stop_away_that_a_later_entry_needs_after_a_cancel_by_hand(core: Core) -> None:
    order = protected(core)
    core.rows("UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE order_id = %s", [order["id"]])
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")
    added = core.send("AAPL", quantity=5, stop_price=85)
    core.run(added)
    followed(core, added, "filled")
    resting = core.send("AAPL", quantity=1, entry_price=95)
    core.run(resting)
    followed(core, resting, "accepted")
    core.rows("UPDATE holding SET changed_at = changed_at - interval '3 seconds'")

    [again] = steps_until(core, lambda: stop_orders(core))

    assert (again["qty"], core.state(resting)) == ("15", "canceled")


def test_an_exit_gets_past_the_stop_that_the_executor_placed_under_its_former_name(core: Core) -> None:
    protected(core)
    core.rows("UPDATE broker_order SET executor_id = 'former' WHERE role = 'protection'")
    sale = core.send("AAPL", "SELL", by_person=True)

    steps_until(core, lambda: core.state(sale) == "filled")


def test_a_holding_gets_a_stop_order_after_its_executor_was_renamed(core: Core) -> None:
    order = protected(core)
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")
    core.rows("UPDATE broker_order SET executor_id = 'former' WHERE role = 'protection'")
    core.rows("UPDATE execution SET executor_id = 'former' WHERE state = 'canceled'")

    [again] = steps_until(core, lambda: stop_orders(core))

    assert again["qty"] == "10"


def test_an_entry_without_a_stop_leaves_the_holding_its_stop(core: Core) -> None:
    for quantity, stop in ((10, 90), (5, None)):
        entry = core.send("AAPL", quantity=quantity, stop_price=stop)
        core.run(entry)
        followed(core, entry, "filled")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert (order["qty"], order["stop_price"]) == ("15", "90")


def test_an_entry_without_a_stop_brings_no_stop_back_that_a_person_canceled(core: Core) -> None:
    order = protected(core)
    core.rows("UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE order_id = %s", [order["id"]])
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")
    entry = core.send("AAPL", quantity=5)
    core.run(entry)
    followed(core, entry, "filled")

    assert (keeper(core).run_once(), alerts(core)) == (0, [])


def test_a_holding_that_was_opened_again_without_a_stop_has_none(core: Core) -> None:
    protected(core)
    sale = core.send("AAPL", "SELL", entry_price=100)
    steps_until(core, lambda: core.state(sale) == "filled")
    core.rows("UPDATE broker_order SET follow_up = false")
    entry = core.send("AAPL", quantity=5)
    core.run(entry)
    followed(core, entry, "filled")

    assert (keeper(core).run_once(), alerts(core)) == (0, [])


def test_an_entry_is_canceled_beside_a_stop_that_the_broker_does_not_show_any_more(core: Core) -> None:
    order = protected(core)
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: not stop_orders(core))
    core.rows("UPDATE execution SET state = 'dead', reason_code = 'order_vanished' WHERE state = 'accepted'")
    resting = core.send("AAPL", quantity=1, entry_price=95)
    core.run(resting)
    followed(core, resting, "accepted")
    core.rows("UPDATE holding SET changed_at = changed_at - interval '3 seconds'")

    steps_until(core, lambda: core.state(resting) == "canceled")

    assert core.execution(resting)["reason_code"] == Code.STOP_MISSING


def test_a_price_beyond_the_limit_of_a_coins_stop_closes_the_position_at_the_market(core: Core) -> None:
    order = protected(core, "ETH/USD", quantity=1, stop=90)
    core.prices(**{"ETH/USD": 80})
    keeper(core).run_once()
    # The last reading is from before the stop order.
    assert core.rows("SELECT 1 FROM broker_order WHERE cancel_asked_at IS NOT NULL") == []
    core.runtimes["argo"].snapshots.read()

    steps_until(core, lambda: positions(core) == {})

    assert {each["id"]: each["status"] for each in core.orders()}[order["id"]] == "canceled"


def alerts(core: Core) -> list[str]:
    found = core.record.run(lambda connection: unprotected_positions(connection, core.executors))
    return [each.key.removeprefix("unprotected_position:") for each in found.raised]


def test_a_position_without_its_stop_raises_an_alert_unless_a_person_canceled_that(core: Core) -> None:
    order = protected(core)
    assert alerts(core) == []
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")
    assert alerts(core) == ["argo:AAPL:"]

    core.rows("UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE order_id = %s", [order["id"]])
    assert alerts(core) == []
    core.rows("UPDATE broker_order SET filled_at = clock_timestamp() WHERE role = 'entry'")

    assert alerts(core) == ["argo:AAPL:"]


def test_a_stop_of_a_dead_letter_and_a_fee_in_coins_are_told_apart_by_the_alert(core: Core) -> None:
    protected(core, "ETH/USD", quantity=1, stop=90)
    assert alerts(core) == []

    core.rows("UPDATE execution SET state = 'dead', reason_code = 'order_vanished' WHERE state = 'accepted'")

    assert alerts(core) == ["argo:ETH/USD:"]
