"""A holding whose entry gave a stop has a stop order at the broker; an exit cancels it first."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest

from pipeline.accounts.books.settle import settle
from pipeline.model.reasons import Code
from pipeline.model.switches import SwitchKind
from pipeline.views.positions import positions as listed
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.protecting import (
    keeper,
    protected,
    protections,
    run_due,
    step,
    steps_until,
    stop_orders,
)
from tests.integration.keeper.test_stops import flat, followed, positions, stops, turn
from workers.keeper.exit_follow_up import ExitFollowUp

pytestmark = pytest.mark.timeout(120)


def test_a_filled_entry_with_a_stop_gets_a_stop_order_of_its_quantity(core: Core) -> None:
    order = protected(core, quantity=10, stop=90)

    [execution] = protections(core)
    assert (order["side"], order["qty"], order["stop_price"], order["time_in_force"]) == ("sell", "10", "90", "gtc")
    assert order["client_order_id"] == f"tw-{execution['execution_id']}-1"
    assert (execution["state"], execution["action"]) == ("accepted", "SELL")
    assert keeper(core).run_once() == 0


def test_the_list_of_positions_shows_whether_the_stop_order_rests(core: Core) -> None:
    order = protected(core)
    assert [each.protected for each in listed(core.record, core.executors.values())] == [True]

    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")

    assert [each.protected for each in listed(core.record, core.executors.values())] == [False]


def test_an_entry_without_a_stop_gets_none(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send(quantity=10)
    core.run(entry)
    followed(core, entry, "filled")

    assert keeper(core).run_once() == 0


def test_a_stop_that_is_reached_closes_the_holding_and_the_trade(core: Core) -> None:
    protected(core, stop=90)

    core.prices(AAPL=89)

    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "filled")
    assert positions(core) == {}
    settle(core.record, limit=10)
    [trade] = core.rows("SELECT exit_reason FROM trade")
    assert trade["exit_reason"] == "stop"
    assert keeper(core).run_once() == 0


def test_an_exit_cancels_the_stop_and_closes_the_position(core: Core) -> None:
    order = protected(core)
    sale = core.send("AAPL", "SELL", entry_price=100)

    steps_until(core, lambda: core.state(sale) == "filled")

    assert positions(core) == {}
    assert {each["id"]: each["status"] for each in core.orders()}[order["id"]] == "canceled"
    assert stop_orders(core) == []
    assert len(protections(core)) == 1


def test_an_exit_needs_no_keeper_to_get_past_the_stop(core: Core) -> None:
    protected(core)
    sale = core.send("AAPL", "SELL", entry_price=100)
    core.rows("UPDATE execution SET created_at = created_at - interval '10 seconds' WHERE execution_id = %s", [sale])

    until(lambda: core.due_now(sale) or core.run(sale)["state"] in ("accepted", "filled"))

    until(lambda: positions(core) == {})


def test_after_a_partial_close_the_rest_has_its_stop_again(core: Core) -> None:
    protected(core, quantity=10)
    sale = core.send("AAPL", "SELL", intent="close", close_percent=40, entry_price=100)

    steps_until(core, lambda: core.state(sale) == "filled" and stop_orders(core))

    assert positions(core) == {"AAPL": 6}
    assert [each["qty"] for each in stop_orders(core)] == ["6"]


def test_the_rest_of_a_partly_filled_entry_is_canceled_and_the_part_is_protected(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600, "count": 1})
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "partially_filled")
    keeper(core).run_once()
    assert core.state(entry) == "partially_filled"
    core.rows("UPDATE fill SET recorded_at = recorded_at - interval '3 seconds'")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert order["qty"] == "5"
    assert (core.state(entry), core.execution(entry)["reason_code"]) == ("canceled", Code.PARTLY_FILLED)


def test_a_price_beyond_the_stop_closes_the_position_at_once(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")
    core.prices(AAPL=85)

    steps_until(core, lambda: positions(core) == {})

    assert [each["type"] for each in core.orders() if each["side"] == "sell"] == ["market"]


def test_a_stop_that_was_canceled_at_the_broker_is_placed_again(core: Core) -> None:
    order = protected(core)
    core.runtimes["argo"].broker.cancel(order["id"])

    found = steps_until(core, lambda: [each for each in stop_orders(core) if each["id"] != order["id"]])

    assert [each["qty"] for each in found] == ["10"]


def test_the_stop_returns_when_the_exit_is_refused(core: Core) -> None:
    protected(core)
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    sale = core.send("AAPL", "SELL", entry_price=100)

    steps_until(core, lambda: core.state(sale) == "rejected")
    assert stop_orders(core) == []
    core.rows("UPDATE broker_order SET ended_at = ended_at - interval '6 seconds' WHERE role = 'exit'")

    steps_until(core, lambda: stop_orders(core))


def test_an_entry_beside_a_stop_is_skipped(core: Core) -> None:
    protected(core, strategy="a")

    added = core.send("AAPL", quantity=1, stop_price=80, strategy="b")

    until(lambda: core.due_now(added) or core.run(added)["state"] == "skipped")

    assert core.execution(added)["reason_code"] == Code.STOP_RESTS


def test_each_strategy_has_its_own_stop_and_an_exit_cancels_only_its_own(core: Core) -> None:
    core.prices(AAPL=100)
    for strategy, stop in (("a", 90), ("b", 80)):
        entry = core.send("AAPL", quantity=10, stop_price=stop, strategy=strategy)
        core.run(entry)
        followed(core, entry, "filled")
    steps_until(core, lambda: len(stop_orders(core)) == 2)
    sale = core.send("AAPL", "SELL", entry_price=100, strategy="a")

    steps_until(core, lambda: core.state(sale) == "filled")

    assert positions(core) == {"AAPL": 10}
    assert [each["stop_price"] for each in stop_orders(core)] == ["80"]


def test_two_keepers_place_one_stop(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")

    assert [keeper(core).run_once(), keeper(core).run_once()] == [1, 0]

    run_due(core)
    assert len(stop_orders(core)) == 1


def test_an_unknown_outcome_places_no_second_stop(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")
    core.faults({"on": "submit", "kind": "5xx_after", "count": 1})

    def read() -> bool:
        step(core)
        core.unknowns.run_once()
        return protections(core)[0]["state"] == "accepted"

    until(read)

    assert (len(protections(core)), len(stop_orders(core))) == (1, 1)


def test_a_flatten_closes_a_protected_position(core: Core) -> None:
    protected(core)
    turn(core, SwitchKind.HALTED, flatten=True)

    flat(core, stops(core))

    assert (positions(core), stop_orders(core)) == ({}, [])
    assert core.rows("SELECT 1 FROM canceled_order") == []


def test_a_stop_that_a_person_canceled_stays_away(core: Core) -> None:
    order = protected(core)
    core.rows("UPDATE broker_order SET cancel_requested_at = clock_timestamp() WHERE order_id = %s", [order["id"]])
    core.runtimes["argo"].broker.cancel(order["id"])
    until(lambda: core.follower().run_once() or protections(core)[0]["state"] == "canceled")

    assert keeper(core).run_once() == 0


def test_an_exit_that_waits_for_the_minimum_hold_leaves_the_stop_where_it_is(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml() + "[executors.argo.firm]\nminimum_hold_s = 600\n")
    order = protected(core)
    sale = core.run(core.send("AAPL", "SELL", entry_price=100))
    assert (sale["state"], sale["reason_code"]) == ("held", Code.MINIMUM_HOLD)
    assert [each["id"] for each in stop_orders(core)] == [order["id"]]
    core.runtimes["argo"].broker.cancel(order["id"])

    found = steps_until(core, lambda: [each for each in stop_orders(core) if each["id"] != order["id"]])

    assert len(found) == 1


def test_a_waiting_stop_does_not_keep_an_exit_from_the_broker(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")
    core.faults({"on": "submit", "kind": "429", "count": 1})
    step(core)
    [stop] = protections(core)
    if stop["state"] == "held":
        core.rows(
            "UPDATE execution SET due_at = due_at + interval '1 hour' WHERE execution_id = %s", [stop["execution_id"]]
        )
    sale = core.send("AAPL", "SELL", entry_price=100)

    until(lambda: core.due_now(sale) or core.run(sale)["state"] in ("accepted", "filled"))

    assert core.execution(stop["execution_id"])["reason_code"] == Code.SUPERSEDED


@pytest.mark.parametrize(("quantity", "in_force"), [(Decimal("2.5"), "day"), (Decimal(3), "gtc")])
def test_fractions_are_protected_for_the_day(make_core: Callable[..., Core], quantity: Decimal, in_force: str) -> None:
    core = make_core(executor_toml().replace("value = 1\n", "value = 1\nfractional = true\n"))
    order = protected(core, quantity=quantity)

    assert (Decimal(order["qty"]), order["time_in_force"]) == (quantity, in_force)


def test_shares_that_are_hard_to_borrow_are_protected_for_the_day(core: Core) -> None:
    core.exchange.admin("assets", {"AAPL": {"shortable": False}})

    assert protected(core)["time_in_force"] == "day"


def test_a_coin_is_protected_by_a_stop_with_a_limit(core: Core) -> None:
    order = protected(core, "ETH/USD", quantity=1, stop=90)

    assert (order["type"], Decimal(order["stop_price"]), Decimal(order["limit_price"])) == (
        "stop_limit",
        90,
        Decimal("85.5"),
    )


def test_a_short_position_is_protected_by_a_buy(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    entry = core.send("AAPL", "SELL", quantity=10, stop_price=110, entry_price=100)
    core.run(entry)
    followed(core, entry, "filled")

    [order] = steps_until(core, lambda: stop_orders(core))

    assert (order["side"], order["qty"], order["stop_price"]) == ("buy", "10", "110")


def test_a_repeated_exit_cancels_the_stop_again(core: Core) -> None:
    protected(core)
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    core.send("AAPL", "SELL", entry_price=100)
    follow_up = ExitFollowUp(
        record=core.record, intake=core.intake, runtime=core.runtimes["argo"], market_is_open=lambda: True
    )

    steps_until(core, lambda: follow_up.run_once() or positions(core) == {})

    assert stop_orders(core) == []


def are_rejected(core: Core, count: int) -> bool:
    run_due(core)
    return [each["state"] for each in protections(core)] == ["rejected"] * count


def test_a_stop_that_is_refused_again_and_again_is_tried_less_and_less_often(core: Core) -> None:
    core.prices(AAPL=100)
    entry = core.send("AAPL", quantity=10, stop_price=90)
    core.run(entry)
    followed(core, entry, "filled")
    core.faults({"on": "submit", "kind": "reject", "count": 2})

    for tries in (1, 2):
        steps_until(core, lambda: protections(core))
        until(partial(are_rejected, core, tries))
        assert keeper(core).run_once() == 0
        core.rows(
            "UPDATE execution SET ended_at = ended_at - %s * interval '1 second' WHERE state = 'rejected'", [tries]
        )

    steps_until(core, lambda: stop_orders(core))
    assert len(protections(core)) == 3
