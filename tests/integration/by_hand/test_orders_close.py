"""`tradewire orders close`: an exit of the whole position through the worker, at the market or at a person's limit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

import pytest

from pipeline.accounts.account_key import account_key_of
from pipeline.accounts.books.settle import settle
from pipeline.accounts.switches import turn_on
from pipeline.model.switches import SwitchKind
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, until
from tests.integration.by_hand.commands import (
    at_exchange,
    closed,
    closes,
    follow_ups,
    followed,
    held,
    keep,
    orders,
    worked,
)
from tests.integration.execution.test_blocked_exits import placed, status
from tests.integration.limited_stage import filled


def turn(core: Core, kind: SwitchKind, *, flatten: bool = False) -> None:
    core.record.run(
        lambda unit: turn_on(
            unit,
            account_key=account_key_of(unit, "argo"),
            kind=kind,
            cause="person",
            facts={},
            flatten=flatten,
            by="ann",
        )
    )


def sold(core: Core) -> int:
    return sum(int(order["filled_qty"]) for order in core.orders() if order["side"] == "sell")


def limits(core: Core) -> list[Decimal]:
    return [
        Decimal(order["limit_price"]) for order in core.orders() if order["side"] == "sell" and order["limit_price"]
    ]


def test_the_whole_position_of_all_strategies_is_closed_and_the_trades_name_a_person(core: Core) -> None:
    filled(core, quantity=3, strategy="one")
    filled(core, quantity=2, strategy="two")

    close = closed(core, "--by", "ann", "--why", "enough")
    worked(core, close, "filled")
    settle(core.record)

    assert at_exchange(core)[2:] == [("sell", "5", "market", "filled")]
    born = core.rows("SELECT * FROM history WHERE execution_id = %s ORDER BY history_id", [close])[0]
    assert (born["to_state"], born["moved_by"], born["moved_why"]) == ("queued", "ann", "enough")
    trades = core.rows("SELECT strategy, exit_reason FROM trade ORDER BY strategy")
    assert [(each["strategy"], each["exit_reason"]) for each in trades] == [("one", "person"), ("two", "person")]


def test_a_short_position_is_bought_back(make_core: Callable[..., Core], core: Core) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    filled(core, "AAPL", "SELL", quantity=3, stop_price=110)

    worked(core, closed(core), "filled")

    assert at_exchange(core)[1:] == [("buy", "3", "market", "filled")]


def test_half_of_it_is_rounded_down_to_whole_shares(core: Core) -> None:
    filled(core, quantity=3)

    worked(core, closed(core, "--percent", "50"), "filled")
    follow_ups(core)

    assert at_exchange(core)[1:] == [("sell", "1", "market", "filled")]
    assert (held(core), len(closes(core))) == (2, 1)


def test_the_same_id_again_is_the_same_close(core: Core) -> None:
    filled(core, quantity=4)
    half = closed(core, "--percent", "50", "--id", "monday")
    worked(core, half, "filled")

    again = closed(core, "--percent", "50", "--id", "monday")
    other = orders("close", "AAPL", "--executor", "argo", "--id", "monday")

    assert again == half
    assert (len(closes(core)), held(core)) == (1, 2)
    assert (other.code, "--id: source_id" in other.text) == (2, True)


def test_half_of_one_share_is_refused_with_the_figures(core: Core) -> None:
    filled(core, quantity=1)

    row = core.run(closed(core, "--percent", "50"))

    assert (row["state"], row["reason_code"], row["reason_facts"]) == (
        "skipped",
        "below_one_share",
        {"held": "1", "least": "1"},
    )


def test_a_limit_is_not_moved_and_rests_until_the_market_reaches_it(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.keeper.exit_follow_up.RESTS_AT_MOST", "0 seconds")
    filled(core, quantity=3)

    close = closed(core, "--limit", "101.5")
    worked(core, close, "accepted")
    follow_ups(core)
    core.follower().run_once()
    assert (core.state(close), limits(core), held(core)) == ("accepted", [Decimal("101.5")], 3)

    core.prices(AAPL=102)
    followed(core, close, "filled")
    assert at_exchange(core)[1:] == [("sell", "3", "limit", "filled")]


def test_a_limit_is_kept_where_exits_are_market_orders(make_core: Callable[..., Core], core: Core) -> None:
    core = make_core(executor_toml(order='type = "market"'))
    filled(core, quantity=3)

    worked(core, closed(core, "--limit", "110"), "accepted")

    assert (limits(core), held(core)) == ([110], 3)


def test_a_limit_close_that_is_canceled_at_the_broker_is_not_repeated(core: Core) -> None:
    filled(core, quantity=3)
    close = closed(core, "--limit", "110")
    worked(core, close, "accepted")

    core.runtimes["argo"].broker.cancel(str(core.execution(close)["order_id"]))
    followed(core, close, "canceled")
    follow_ups(core)

    assert (len(closes(core)), len(core.orders()), held(core)) == (1, 2, 3)


def test_a_limit_close_that_the_broker_refuses_is_tried_again_at_the_same_limit(core: Core) -> None:
    filled(core, quantity=3)
    core.faults({"on": "submit", "kind": "reject", "count": 1})

    close = closed(core, "--limit", "110")
    assert core.run(close)["state"] == "rejected"
    follow_ups(core)
    again = closes(core)[1]["execution_id"]
    worked(core, again, "accepted")

    assert limits(core) == [110]


def test_a_later_exit_takes_the_place_of_a_limit_close(core: Core) -> None:
    filled(core, quantity=3)
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")

    sale = core.send("AAPL", "SELL")
    assert core.run(sale)["reason_code"] == "order_under_way"
    worked(core, sale, "filled")

    row = core.execution(close)
    assert (row["state"], row["reason_code"]) == ("canceled", "superseded")
    assert (held(core), sold(core), len(closes(core))) == (0, 3, 1)


def test_an_entry_that_waits_does_not_cancel_a_limit_close(core: Core) -> None:
    filled(core, quantity=3)
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")

    assert core.run(core.send("AAPL"))["reason_code"] == "order_under_way"
    follow_ups(core)
    core.follower().run_once()

    assert core.state(close) == "accepted"
    assert core.rows("SELECT 1 FROM broker_order WHERE cancel_asked_at IS NOT NULL") == []


def test_a_flatten_closes_a_position_that_a_limit_close_holds(core: Core) -> None:
    filled(core, quantity=3)
    worked(core, closed(core, "--limit", "120"), "accepted")
    turn(core, SwitchKind.HALTED, flatten=True)

    def step() -> bool:
        keep(core)
        for row in core.rows("SELECT execution_id FROM execution WHERE state IN ('queued', 'held')"):
            core.due_now(row["execution_id"])
            core.run(row["execution_id"])
        follow_ups(core)
        core.follower().run_once()
        return held(core) == 0

    until(step)
    assert sold(core) == 3


def test_a_close_that_the_broker_refuses_is_tried_again_for_the_whole_position(core: Core) -> None:
    filled(core, quantity=3, strategy="one")
    filled(core, quantity=2, strategy="two")
    core.faults({"on": "submit", "kind": "reject", "count": 1})

    close = closed(core)
    assert core.run(close)["state"] == "rejected"
    follow_ups(core)
    again = closes(core)[1]
    worked(core, again["execution_id"], "filled")
    follow_ups(core)

    assert (again["source_id"], again["quantity"]) == (f"{close}:2", 5)
    assert (held(core), sold(core), len(closes(core))) == (0, 5, 2)


def test_without_a_position_it_says_so(core: Core, processes: Processes) -> None:
    processes.start(core, "work", "argo")
    until(lambda: core.rows("SELECT 1 FROM heartbeat WHERE kind = 'worker'"))

    said = orders("close", "AAPL", "--executor", "argo", "--wait", "60")

    assert (said.code, said.text.splitlines()[0]) == (1, "argo holds no AAPL: nothing was sent")
    assert core.orders() == []


def test_without_a_worker_it_says_so(core: Core) -> None:
    said = orders("close", "AAPL", "--executor", "argo", "--wait", "0.2")

    assert said.code == 1
    assert "the worker of argo does not run: nothing is closed without it" in said.text
    assert f"`tradewire end {closes(core)[0]['execution_id']} --why TEXT` ends it" in said.text


def test_it_says_that_a_refused_close_is_tried_again(core: Core, processes: Processes) -> None:
    filled(core, quantity=4)
    for arguments in (("work", "argo"), ("keep",)):
        processes.start(core, *arguments)
    until(lambda: len(core.rows("SELECT 1 FROM heartbeat WHERE kind IN ('worker', 'keeper')")) == 2)
    core.faults({"on": "submit", "kind": "reject", "count": 1})

    said = orders("close", "AAPL", "--executor", "argo", "--percent", "50", "--wait", "60")

    assert (said.code, said.text.splitlines()[0].split(":")[0]) == (1, "rejected")
    assert "tries the rest again by itself: do not repeat the command" in said.text
    until(lambda: held(core) == 2)


def test_with_worker_and_keeper_it_waits_for_the_fill(core: Core, processes: Processes) -> None:
    filled(core, quantity=3)
    for arguments in (("work", "argo"), ("keep",)):
        processes.start(core, *arguments)
    until(lambda: len(core.rows("SELECT 1 FROM heartbeat WHERE kind IN ('worker', 'keeper')")) == 2)

    said = orders("close", "AAPL", "--executor", "argo", "--wait", "60")

    assert (said.code, said.text.splitlines()[0]) == (0, "filled: AAPL at argo, 3 filled at 100")
    assert held(core) == 0


def test_an_entry_that_works_is_canceled_and_its_part_closed(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 3600, "count": 1})
    entry = core.send("AAPL", quantity=10)
    core.run(entry)
    followed(core, entry, "partially_filled")

    worked(core, closed(core), "filled")

    assert core.state(entry) == "canceled"
    assert at_exchange(core) == [("buy", "10", "limit", "canceled"), ("sell", "5", "market", "filled")]


def test_an_entry_that_waits_is_ended(core: Core) -> None:
    filled(core, quantity=3)
    waiting = core.send("AAPL", strategy="one")
    close = closed(core)

    core.run(close)
    worked(core, close, "filled")

    assert core.execution(waiting)["reason_code"] == "superseded"


@pytest.mark.parametrize("kind", [SwitchKind.PAUSED, SwitchKind.REDUCING, SwitchKind.HALTED])
def test_it_goes_while_a_switch_stops_entries(core: Core, kind: SwitchKind) -> None:
    filled(core, quantity=3)
    turn(core, kind)

    worked(core, closed(core), "filled")

    assert held(core) == 0


@pytest.mark.parametrize("terms", [(), ("--percent", "60"), ("--limit", "90")])
def test_two_closes_at_once_never_sell_more_than_is_held(core: Core, terms: tuple[str, ...]) -> None:
    filled(core, quantity=5)
    two = [closed(core, *terms), closed(core, *terms)]

    def work(execution: UUID, worker: str) -> None:
        core.due_now(execution)
        core.recipe(worker=worker).run(execution)

    def step() -> bool:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, two, ("one", "two")))
        follow_ups(core)
        core.follower().run_once()
        return all(core.state(each) in ("filled", "skipped", "canceled") for each in two)

    until(step)
    at_once = max(int(order["qty"]) for order in core.orders() if order["side"] == "sell")
    assert at_once <= 5
    assert (sold(core), held(core)) == ((5, 0) if terms[:1] != ("--percent",) else (4, 1))
    assert core.rows("SELECT 1 FROM holding WHERE quantity < 0") == []


def test_a_limit_close_cancels_no_stop_of_others_and_is_skipped(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core)

    close = closed(core, "--limit", "90")
    first = core.run(close)
    core.rows("UPDATE signal SET recorded_at = recorded_at - interval '16 seconds' WHERE source = 'tradewire:hand'")
    core.due_now(close)
    row = core.run(close)

    assert (first["state"], first["reason_code"]) == ("held", "quantity_held")
    assert (row["state"], row["reason_code"]) == ("skipped", "quantity_held")
    assert stop["id"] in row["reason_facts"]["orders"]
    assert (status(core, stop), held(core)) == ("new", 10)


def test_a_market_close_cancels_the_stop_of_others_as_a_persons_exit_does(core: Core) -> None:
    filled(core, quantity=10)
    stop = placed(core)

    worked(core, closed(core), "filled")

    assert (status(core, stop), held(core)) == ("canceled", 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("AAPL", "--executor", "nobody"), "'nobody' is not in"),
        (("A PPL", "--executor", "argo"), "SYMBOL: 'A PPL' is not a symbol"),
        (("AAPL", "--executor", "argo", "--percent", "0"), "--percent: '0' is not a number above 0"),
        (("AAPL", "--executor", "argo", "--percent", "100.01"), "--percent: 100.01 is not above 0 and up to 100"),
        (("AAPL", "--executor", "argo", "--percent", "half"), "--percent: 'half' is not a number above 0"),
        (("AAPL", "--executor", "argo", "--limit", "-1"), "--limit: '-1' is not a number above 0"),
        (("AAPL", "--executor", "argo", "--limit", "NaN"), "--limit: 'NaN' is not a number above 0"),
        (("AAPL", "--executor", "argo", "--limit", "1_0"), "--limit: '1_0' is not a number above 0"),
        (("AAPL", "--executor", "argo", "--limit", "1e13"), "entry_price: must be at most"),
    ],
)
def test_a_mistake_is_one_clear_line(core: Core, arguments: tuple[str, ...], says: str) -> None:
    said = orders("close", *arguments)

    assert (said.code, says in said.text) == (2, True), said.text
    assert core.rows("SELECT 1 FROM signal") == []
