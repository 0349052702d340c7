"""Polls of orders: their number of requests, the orders that they find, and the growth of their interval."""

from __future__ import annotations

import json
from collections.abc import Callable

from pipeline.model.orders import OrderRequest
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.orders_at_rest import arrive, give_up, status_at_exchange, unsent, working
from workers.keeper.order_polling import OrderPolling


def requests(core: Core) -> int:
    """Return how many requests argo's account sent to the exchange."""
    return int(core.exchange.requests("argo")["requests"])


def grow_old(core: Core, seconds: int = 120) -> None:
    """Make all orders older; by default, older than the young orders that every poll lists."""
    core.rows("UPDATE broker_order SET intended_at = intended_at - make_interval(secs => %s)", [seconds])


def calm(core: Core) -> OrderPolling:
    """Return an order poll with a fresh snapshot, which therefore sends only the requests of polls."""
    core.runtimes["argo"].snapshots.fresh()
    core.rows("UPDATE account_snapshot SET taken_at = clock_timestamp() + interval '1 minute'")
    return core.follower()


def test_a_poll_is_one_request_while_young_and_old_orders_work(core: Core) -> None:
    for age_s in (0, 120, 1200):
        for symbol in ("AAPL", "MSFT") * 3:
            working(core, symbol=symbol)
        grow_old(core, age_s)
        follower = calm(core)
        before = requests(core)

        follower.run_once()

        assert requests(core) == before + 1, age_s
        core.rows("UPDATE broker_order SET ended_at = now()")


def test_nothing_is_requested_while_no_order_is_open(core: Core) -> None:
    follower = calm(core)
    before = requests(core)

    follower.run_once()

    assert requests(core) == before


def test_an_old_order_that_ended_is_found_by_the_same_poll(core: Core) -> None:
    for ended in (1, 3, 5):
        ids = [working(core) for _ in range(ended)]
        rests = working(core, symbol="MSFT")
        grow_old(core)
        for execution_id in ids:
            core.runtimes["argo"].broker.cancel(core.execution(execution_id)["order_id"])
        until(lambda ended=ended: [order["status"] for order in core.orders()].count("canceled") >= ended)
        before = requests(core)

        moved = calm(core).run_once()

        assert [core.state(execution_id) for execution_id in ids] == ["canceled"] * ended
        assert (moved, core.state(rests)) == (ended, "accepted")
        # The poll reads the list of open orders, and up to three ended orders one by one. More than three are read from
        # one page of closed orders.
        assert requests(core) - before <= 1 + min(ended, 3) + 2
        assert calm(core).run_once() == 0
        core.exchange.admin("reset", {})
        core.prices(AAPL=100, MSFT=100)
        core.rows("UPDATE broker_order SET ended_at = now()")


def test_an_order_that_works_for_hours_is_followed_to_its_end(core: Core) -> None:
    execution_id = working(core)
    grow_old(core, 7200)
    core.follower().run_once()
    assert core.state(execution_id) == "accepted"
    core.runtimes["argo"].broker.cancel(core.execution(execution_id)["order_id"])
    until(lambda: status_at_exchange(core) == "canceled")

    core.follower().run_once()

    assert core.state(execution_id) == "canceled"


def test_a_late_order_is_found_when_it_is_no_longer_young_working_or_filled(core: Core) -> None:
    for fills in (False, True):
        execution_id = unsent(core)
        give_up(core, execution_id, "dead")
        if fills:
            request = OrderRequest.from_json(json.loads(json.dumps(core.execution(execution_id)["request"])))
            core.runtimes["argo"].broker.submit(request)
            core.filled_at_exchange()
        else:
            arrive(core, execution_id)
        grow_old(core)

        core.follower().run_once()

        late = core.execution(execution_id)
        assert (late["state"], late["reason_code"]) == ("filled" if fills else "accepted", "late_order")


def test_a_late_order_that_filled_is_looked_for_every_half_minute(core: Core) -> None:
    execution_id = unsent(core)
    give_up(core, execution_id, "dead")
    grow_old(core)
    follower = calm(core)
    costs = []
    for _ in range(3):
        before = requests(core)
        follower.run_once()
        costs.append(requests(core) - before)

    assert costs == [2, 1, 1]


def test_an_unchanged_order_is_recorded_as_polled_only_at_intervals(core: Core) -> None:
    execution_id = working(core)
    core.follower().run_once()
    before = core.execution(execution_id)["polled_at"]
    core.follower().run_once()
    assert core.execution(execution_id)["polled_at"] == before
    core.rows("UPDATE broker_order SET polled_at = polled_at - interval '11 seconds'")

    core.follower().run_once()

    assert core.execution(execution_id)["polled_at"] > before


def test_an_order_is_not_read_singly_by_every_poll(core: Core) -> None:
    working(core)
    grow_old(core)
    core.exchange.admin("reset", {})
    costs = []
    for _ in range(2):
        follower = calm(core)
        before = requests(core)
        follower.run_once()
        costs.append(requests(core) - before)

    assert costs == [2, 1]


def test_polls_slow_down_with_the_budget_but_for_an_exit_that_waits(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml().replace('requests_per_minute = "off"', "requests_per_minute = 200"))
    core.prices(AAPL=100)
    execution_id = working(core)
    follower = calm(core)
    core.rows("SELECT take_requests(account_number, 160, 1000, true) FROM account_snapshot")
    costs = []
    for canceling in (False, False, True):
        if canceling:
            core.rows("UPDATE broker_order SET cancel_asked_at = now()")
        before = requests(core)
        follower.run_once()
        costs.append(requests(core) - before)

    assert costs == [1, 0, 1]
    assert core.state(execution_id) == "accepted"


def test_a_poll_without_room_moves_nothing_and_fails_nothing(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml().replace('requests_per_minute = "off"', "requests_per_minute = 200"))
    core.prices(AAPL=100)
    execution_id = working(core)
    follower = calm(core)
    core.rows("SELECT take_requests(account_number, 170, 1000, true) FROM account_snapshot")
    before = requests(core)

    assert follower.run_once() == 0

    assert (requests(core), core.state(execution_id)) == (before, "accepted")


def test_polls_keep_the_snapshot_fresh_only_where_no_equity_monitor_does(make_core: Callable[..., Core]) -> None:
    costs = []
    for limit in ('"off"', "5"):
        core = make_core(executor_toml().replace('daily_loss_percent = "off"', f"daily_loss_percent = {limit}"))
        core.prices(AAPL=100)
        core.rows("UPDATE broker_order SET ended_at = now()")
        working(core)
        core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '4 seconds'")
        before = requests(core)
        core.follower().run_once()
        costs.append(requests(core) - before)

    # Without an equity monitor, a poll reads the orders, account, positions and clock; with one, only the orders.
    assert costs == [1 + 3, 1]
