"""FLAT closes what is held, whatever its side; REVERSE closes it and opens the other side where that is allowed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.model.errors import InvalidSignal
from tests.factories import Core, executor_toml
from tests.integration.keeper.test_exits import closed_by_a_third_try, exits, followed, own

REVERSING = 'flip = "reverse"\nallow_short = true'


def opened(core: Core, action: str, quantity: int, **changes: Any) -> None:
    """Open a position of *quantity*, and wait for the fill."""
    row = core.send("AAPL", action, quantity=quantity, **changes)
    core.run(row)
    followed(core, row, "filled")


def reversed_(core: Core, **changes: Any) -> list[dict[str, Any]]:
    """Send a REVERSE, let the keeper follow it up, and return the executions of the other side."""
    turned = core.send("AAPL", "REVERSE", **changes)
    core.run(turned)
    followed(core, turned, "filled")
    exits(core).run_once()
    exits(core).run_once()
    return [core.run(row["execution_id"]) for row in own(core, "flip")]


def sides(core: Core) -> list[tuple[str, Decimal]]:
    return [(order["side"], Decimal(order["qty"])) for order in core.orders()]


@pytest.mark.parametrize(("action", "closing"), [("BUY", "sell"), ("SELL", "buy")])
def test_flat_closes_all_whatever_its_side(make_core: Any, action: str, closing: str) -> None:
    core: Core = make_core(executor_toml(order="allow_short = true"))
    opened(core, action, 3)

    row = core.run(core.record_signal({"symbol": "AAPL", "action": "flat"}).execution_id)

    assert row["state"] in ("accepted", "filled")
    assert sides(core) == [(action.lower(), 3), (closing, 3)]


def test_flat_without_a_position_cancels_the_entries_and_sells_nothing(core: Core) -> None:
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    working = core.send(quantity=2)
    assert core.run(working)["state"] == "accepted"
    flat = core.record_signal({"symbol": "AAPL", "action": "FLAT"}).execution_id

    assert core.run(flat)["reason_code"] == "order_under_way"
    followed(core, working, "canceled")
    core.due_now(flat)

    assert core.run(flat)["reason_code"] == "no_position"
    assert sides(core) == [("buy", 2)]


def test_flat_ends_an_entry_that_was_not_sent(core: Core) -> None:
    waiting = core.send(quantity=2)
    flat = core.record_signal({"symbol": "AAPL", "action": "FLAT"}).execution_id

    core.run(flat)
    core.run(flat)

    assert core.execution(waiting)["reason_code"] == "superseded"
    assert core.orders() == []


@pytest.mark.parametrize(
    ("order", "action", "reason", "expected"),
    [
        (REVERSING, "BUY", None, [("buy", 3), ("sell", 3), ("sell", 2)]),
        (REVERSING, "SELL", None, [("sell", 3), ("buy", 3), ("buy", 2)]),
        ("allow_short = true", "BUY", "no_flip", [("buy", 3), ("sell", 3)]),
        ('flip = "reverse"', "BUY", "no_shorting", [("buy", 3), ("sell", 3)]),
    ],
)
def test_reverse_closes_and_opens_the_other_side_where_it_may(
    make_core: Any, order: str, action: str, reason: str | None, expected: list[tuple[str, int]]
) -> None:
    core: Core = make_core(executor_toml(order=order))
    opened(core, action, 3)

    (other,) = reversed_(core, quantity=2)

    assert other["reason_code"] == reason
    assert sides(core) == expected


def test_the_other_side_has_the_size_of_the_signal_in_money(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order=REVERSING))
    opened(core, "BUY", 3)

    reversed_(core, notional=500)

    # The sale has the limit 99.50, so 500 dollars are 5 shares.
    assert sides(core) == [("buy", 3), ("sell", 3), ("sell", 5)]


def test_the_other_side_follows_when_a_further_try_closed_the_position(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order=REVERSING))
    opened(core, "SELL", 3)
    closed_by_a_third_try(core, core.send("AAPL", "REVERSE", quantity=2))

    exits(core).run_once()
    exits(core).run_once()

    [other] = own(core, "flip")
    core.run(other["execution_id"])
    assert sides(core) == [("sell", 3), ("buy", 3), ("buy", 2)]


@pytest.mark.parametrize("action", ["REVERSE", "SELL"])
@pytest.mark.parametrize(("strategy", "ended"), [("trend", "superseded"), ("mean", None)])
def test_a_flat_that_comes_before_the_other_half_ends_it(
    make_core: Any, action: str, strategy: str, ended: str | None
) -> None:
    core: Core = make_core(executor_toml(order=REVERSING))
    opened(core, "BUY", 3, strategy="trend")
    turned = core.run(core.send("AAPL", action, strategy="trend"))["execution_id"]
    flat = core.send("AAPL", "FLAT", strategy=strategy)
    followed(core, turned, "filled")

    exits(core).run_once()

    assert core.run(flat)["reason_code"] == "no_position"
    [other] = own(core, "flip")
    assert core.run(other["execution_id"])["reason_code"] == ended


def test_reverse_without_a_position_is_skipped(make_core: Any) -> None:
    core: Core = make_core(executor_toml(order=REVERSING))

    row = core.run(core.send("AAPL", "REVERSE"))
    exits(core).run_once()

    assert (row["state"], row["reason_code"]) == ("skipped", "no_position")
    assert own(core, "flip") == []


def test_a_second_reverse_within_the_window_turns_nothing_back(make_core: Any) -> None:
    toml = executor_toml(order=REVERSING).replace('repeat_window_s = "off"', "repeat_window_s = 300")
    core: Core = make_core(toml)
    opened(core, "BUY", 3)
    reversed_(core, quantity=2)
    followed(core, own(core, "flip")[0]["execution_id"], "filled")

    again = core.run(core.send("AAPL", "REVERSE", quantity=2))
    sold = core.run(core.send("AAPL", "SELL", quantity=1))

    assert (again["reason_code"], sold["reason_code"]) == ("repeated_idea", "repeated_idea")
    assert sides(core) == [("buy", 3), ("sell", 3), ("sell", 2)]


@pytest.mark.parametrize("sent", [False, True])
def test_a_second_reverse_within_the_window_leaves_the_other_half_of_the_first(make_core: Any, *, sent: bool) -> None:
    toml = executor_toml(order=REVERSING).replace('repeat_window_s = "off"', "repeat_window_s = 300")
    core: Core = make_core(toml)
    opened(core, "BUY", 3)
    turned = core.run(core.send("AAPL", "REVERSE", quantity=2))["execution_id"]
    followed(core, turned, "filled")
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600, "count": 1})
    exits(core).run_once()
    [other] = own(core, "flip")
    again = core.send("AAPL", "REVERSE", quantity=2)
    for each in (other["execution_id"], again) if sent else (again, other["execution_id"], again):
        core.run(each)

    assert core.execution(again)["reason_code"] == "repeated_idea"
    assert core.state(other["execution_id"]) == "accepted"
    assert sides(core) == [("buy", 3), ("sell", 3), ("sell", 2)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "FLAT", "quantity": 2},
        {"action": "FLAT", "close_percent": 50},
        {"action": "FLAT", "intent": "open"},
        {"action": "REVERSE", "confidence": 90, "entry_price": 100, "intent": "close"},
        {"action": "REVERSE", "confidence": 90, "entry_price": 100, "stop_price": 90},
        {"action": "REVERSE", "confidence": 90},
    ],
    ids=str,
)
def test_what_contradicts_flat_and_reverse_is_refused(core: Core, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSignal):
        core.record_signal({"symbol": "AAPL"} | wrong)


@pytest.mark.parametrize("action", ["FLAT", "REVERSE"])
@pytest.mark.parametrize(("strategy", "ended"), [("mean", None), ("trend", "superseded")])
def test_what_closes_the_position_of_another_strategy_is_not_ended(
    make_core: Any, action: str, strategy: str, ended: str | None
) -> None:
    core: Core = make_core(executor_toml())
    opened(core, "BUY", 10, strategy="mean")
    opened(core, "BUY", 5, strategy="trend")
    sold = core.send("AAPL", "SELL", strategy=strategy)

    core.run(core.send("AAPL", action, strategy="trend"))

    assert core.execution(sold)["reason_code"] == ended
