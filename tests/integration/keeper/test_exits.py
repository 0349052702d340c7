from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.model.orders import OrderStatus
from tests.factories import Core, executor_toml, until
from workers.keeper.exit_follow_up import ExitFollowUp
from workers.keeper.order_updates import OrderUpdates


def exits(core: Core, *, is_open: bool = True) -> ExitFollowUp:
    return ExitFollowUp(
        record=core.record, intake=core.intake, runtime=core.runtimes["argo"], market_is_open=lambda: is_open
    )


def held(core: Core, symbol: str = "AAPL", **changes: Any) -> None:
    """Buy one share and wait until the record knows that it is filled."""
    core.prices(**{symbol: 100})
    bought = core.send(symbol, **changes)
    core.run(bought)
    until(lambda: core.follower().run_once() or core.state(bought) == "filled")


def followed(core: Core, execution: Any, state: str) -> None:
    until(lambda: core.follower().run_once() or core.state(execution) == state)


def canceled_exit(core: Core, monkeypatch: Any, **changes: Any) -> Any:
    """Buy and sell, let the keeper cancel the exit because it stays open, and return the id of the exit."""
    monkeypatch.setattr("workers.keeper.exit_follow_up.RESTS_AT_MOST", "0 seconds")
    held(core, **changes)
    core.prices(AAPL=90)
    sold = core.send("AAPL", "SELL")
    core.run(sold)
    exits(core).run_once()
    followed(core, sold, "canceled")
    return sold


def closed_by_a_third_try(core: Core, execution: Any) -> Any:
    """Let the broker reject an exit and its second try; follow the third try to its fill, and return its id."""
    core.faults({"on": "submit", "kind": "reject", "count": 2})
    for _ in range(2):
        assert core.run(execution)["state"] == "rejected"
        exits(core).run_once()
        execution = own(core, "exit")[-1]["execution_id"]
        core.due_now(execution)
    core.run(execution)
    followed(core, execution, "filled")
    return execution


def own(core: Core, cause: str) -> list[dict[str, Any]]:
    return core.rows(
        "SELECT e.*, s.source_id, s.quantity FROM execution e JOIN signal s USING (signal_id) WHERE s.source = %s "
        "ORDER BY e.seq",
        [f"tradewire:{cause}"],
    )


def test_an_exit_that_was_held_beyond_the_ten_minutes_is_followed_by_another_one(core: Core) -> None:
    """The answer to the exit was lost just before the market closed, and the exit was held for the night."""
    held(core)
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    sold = core.send("AAPL", "SELL")
    assert core.run(sold)["state"] == "unknown"
    until(lambda: core.unknowns.run_once() or core.state(sold) == "held")
    core.rows("UPDATE broker_order SET first_sent_at = now() - interval '11 hours' WHERE role = 'exit'")
    assert core.run(sold)["state"] == "unknown"
    for _ in range(3):
        core.due_now(sold)
        core.unknowns.run_once()
    assert core.state(sold) == "unknown"
    core.rows("UPDATE execution SET absent_since = absent_since - interval '1 minute'")
    core.due_now(sold)

    core.unknowns.run_once()

    ended = core.execution(sold)
    assert (ended["state"], ended["reason_code"]) == ("skipped", "exit_not_done")
    assert exits(core).run_once() == 1
    [following] = own(core, "exit")
    core.due_now(following["execution_id"])
    assert core.run(following["execution_id"])["order_id"] is not None
    assert [order["client_order_id"] for order in core.orders() if order["side"] == "sell"] == [
        f"tw-{following['execution_id']}-1"
    ]


def test_an_exit_that_rests_is_canceled_and_a_market_order_follows(core: Core, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.keeper.exit_follow_up.RESTS_AT_MOST", "0 seconds")
    held(core)
    core.prices(AAPL=90)
    sold = core.send("AAPL", "SELL")
    assert core.run(sold)["state"] == "accepted"

    exits(core).run_once()
    followed(core, sold, "canceled")
    assert exits(core).run_once() == 1

    [again] = own(core, "exit")
    assert (again["state"], again["reason_code"], again["quantity"]) == ("held", "exit_not_done", 1)
    core.due_now(again["execution_id"])
    core.run(again["execution_id"])
    followed(core, again["execution_id"], "filled")
    assert [order["type"] for order in core.orders()] == ["limit", "limit", "market"]
    assert exits(core).run_once() == 1
    assert len(own(core, "exit")) == 1


def test_two_keepers_record_the_next_try_once(core: Core, monkeypatch: Any) -> None:
    sold = canceled_exit(core, monkeypatch)
    one, two = exits(core), exits(core)
    rows = core.rows("SELECT execution_id, generation FROM broker_order WHERE follow_up AND execution_id = %s", [sold])

    one.run_once()
    core.rows("UPDATE broker_order SET follow_up = true WHERE execution_id = %s", [sold])
    two.run_once()

    assert len(rows) == 1
    assert len(own(core, "exit")) == 1


def test_a_refused_exit_is_tried_again_more_slowly_each_time_and_logged(core: Core) -> None:
    held(core)
    core.faults({"on": "submit", "kind": "reject"})
    execution = core.send("AAPL", "SELL")
    gaps = []
    with capture_logs() as logs:
        for _ in range(4):
            assert core.run(execution)["state"] == "rejected"
            exits(core).run_once()
            newest = own(core, "exit")[-1]
            gaps.append(round((newest["due_at"] - newest["created_at"]).total_seconds(), 1))
            execution = newest["execution_id"]
            core.due_now(execution)

    assert gaps == [0.5, 1, 2, 4]
    assert [entry["tries"] for entry in logs if entry["event"] == "exit.not_done"] == [2, 3, 4]


def test_an_exit_of_another_strategy_leaves_the_position_alone(core: Core) -> None:
    held(core, strategy="one")

    row = core.run(core.send("AAPL", "SELL", strategy="two"))

    assert (row["state"], row["reason_code"]) == ("skipped", "no_position")
    assert row["reason_facts"]["held"] == "1"


def test_an_entry_of_one_strategy_sells_nothing_of_another(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order="allow_short = true"))
    held(core, strategy="one")

    row = core.run(core.send("AAPL", "SELL", strategy="two", stop_price=110))

    assert (row["state"], row["reason_code"]) == ("skipped", "position_against")
    assert core.run(core.send("AAPL", "SELL", strategy="two", intent="close"))["reason_code"] == "no_position"
    assert [order["side"] for order in core.orders()] == ["buy"]


@pytest.mark.parametrize(("flip", "sides"), [("close", ["buy", "sell"]), ("reverse", ["buy", "sell", "sell"])])
def test_a_flip_opens_the_other_side_only_where_that_is_configured(make_core: Any, flip: str, sides: list[str]) -> None:
    core: Core = make_core(executor_toml(order=f'flip = "{flip}"\nallow_short = true'))
    held(core)
    sold = core.send("AAPL", "SELL", stop_price=110)
    core.run(sold)
    followed(core, sold, "filled")

    exits(core).run_once()
    exits(core).run_once()
    for row in own(core, "flip"):
        core.run(row["execution_id"])

    assert [order["side"] for order in core.orders()] == sides


def test_a_flip_opens_the_other_side_once_when_a_further_try_closed_the_position(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order='flip = "reverse"\nallow_short = true'))
    held(core)
    execution = closed_by_a_third_try(core, core.send("AAPL", "SELL", stop_price=110))

    exits(core).run_once()
    core.rows("UPDATE broker_order SET follow_up = true WHERE execution_id = %s", [execution])
    exits(core).run_once()

    [flip] = own(core, "flip")
    assert core.run(flip["execution_id"])["state"] == "accepted"
    assert [order["side"] for order in core.orders()] == ["buy", "sell", "sell"]


def test_a_flip_follows_a_fill_that_is_reported_after_the_cancel(make_core: Any, monkeypatch: Any) -> None:
    core: Core = make_core(executor_toml(order='flip = "reverse"\nallow_short = true'))
    sold = canceled_exit(core, monkeypatch)
    exits(core).run_once()
    assert own(core, "flip") == []
    [order] = core.runtimes["argo"].broker.orders(status="all")[-1:]

    late = replace(order, filled_quantity=order.quantity, status=OrderStatus.FILLED, raw_status="filled")
    OrderUpdates(record=core.record, broker=core.runtimes["argo"].broker, who="test keeper").apply([late], set())

    assert core.state(sold) == "filled"
    exits(core).run_once()
    assert len(own(core, "flip")) == 1


def test_a_fill_between_two_keepers_does_not_stop_the_follow_up_of_exits(core: Core, monkeypatch: Any) -> None:
    sold = canceled_exit(core, monkeypatch, quantity=2)
    # The first keeper dies after it recorded the next exit; then half of the first order proves to be filled.
    exits(core).run_once()
    core.rows("UPDATE broker_order SET follow_up = true, filled_quantity = 1 WHERE execution_id = %s", [sold])

    assert exits(core).run_once() == 1

    assert exits(core).run_once() == 0
    assert len(own(core, "exit")) == 1


def test_a_canceled_order_that_was_filled_completely_is_not_tried_again(core: Core, monkeypatch: Any) -> None:
    sold = canceled_exit(core, monkeypatch)
    core.rows("UPDATE broker_order SET filled_quantity = quantity WHERE execution_id = %s", [sold])

    assert exits(core).run_once() == 1

    assert own(core, "exit") == []
    assert exits(core).run_once() == 0
