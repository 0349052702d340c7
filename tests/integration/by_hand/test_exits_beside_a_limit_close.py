"""A limit close by hand keeps no exit waiting, gives way to exits only, and ends for good when one comes later."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from tests.factories import Core, executor_toml
from tests.integration.by_hand.commands import closed, closes, follow_ups, held, worked
from tests.integration.by_hand.test_others_beside_a_close import go_on
from tests.integration.limited_stage import MONDAY, MONDAY_EVENING, changed_toml, clock, filled

MakeCore = Callable[..., Core]


def resting(core: Core) -> UUID:
    """Return the execution of a limit close that rests at the exchange."""
    filled(core, quantity=3, strategy="one")
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")
    return close


def worker_goes_on(core: Core, execution_id: UUID) -> None:
    """Let the worker decide on an execution again and again, some time after its recording. No keeper runs."""
    core.rows("UPDATE execution SET created_at = created_at - interval '10 seconds'")
    for _ in range(10):
        core.rows("UPDATE broker_order SET asked_at = asked_at - interval '1 minute'")
        core.due_now(execution_id)
        core.run(execution_id)


def test_without_a_keeper_a_later_exit_takes_the_place_of_a_limit_close(core: Core) -> None:
    close = resting(core)
    sale = core.send("AAPL", "SELL", strategy="one")

    worker_goes_on(core, sale)

    assert (core.state(close), core.execution(close)["reason_code"]) == ("canceled", "superseded")
    assert core.execution(sale)["order_id"] is not None
    core.filled_at_exchange(2)
    assert held(core) == 0


@pytest.mark.usefixtures("core")
def test_a_sale_that_has_nothing_to_close_cancels_no_limit_close(make_core: MakeCore) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    close = resting(core)
    sale = core.send("AAPL", "SELL", strategy="two")

    go_on(core, sale)

    assert core.state(close) == "accepted"
    assert core.rows("SELECT 1 FROM broker_order WHERE cancel_asked_at IS NOT NULL") == []


@pytest.mark.usefixtures("core")
def test_at_night_only_an_exit_that_trades_at_night_takes_the_place_of_a_limit_close(make_core: MakeCore) -> None:
    core = make_core()
    core.prices(AAPL=100)
    clock(core, MONDAY)
    filled(core, quantity=3)
    clock(core, MONDAY_EVENING)
    core.rows("DELETE FROM account_snapshot")
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")

    at_the_market = core.send("AAPL", "SELL", intent="close", entry_price=None, confidence=None)
    core.run(at_the_market)
    asked = core.rows("SELECT 1 FROM broker_order WHERE cancel_asked_at IS NOT NULL")
    core.rows(
        "UPDATE execution SET state = 'skipped', reason_code = 'ended_by_person', due_at = NULL, ended_at = now() "
        "WHERE execution_id = %s",
        [at_the_market],
    )
    priced = core.send("AAPL", "SELL", intent="close", entry_price=100)
    worker_goes_on(core, priced)

    assert asked == []
    assert (core.state(close), core.execution(priced)["request"]["extended_hours"]) == ("canceled", True)


def refused(core: Core) -> UUID:
    """Return the execution of a limit close that the exchange has refused, with its further try recorded."""
    filled(core, quantity=3)
    core.faults({"on": "submit", "kind": "reject", "count": 1})
    close = closed(core, "--limit", "110")
    assert core.run(close)["state"] == "rejected"
    return close


def test_a_later_limit_close_stays_although_an_earlier_one_was_refused(core: Core) -> None:
    refused(core)
    follow_ups(core)
    again = closes(core)[1]["execution_id"]
    later = closed(core, "--limit", "120")
    core.run(later)

    worked(core, later, "accepted")
    go_on(core, again)

    assert core.execution(again)["reason_code"] == "superseded"
    assert (core.state(later), len(closes(core))) == ("accepted", 3)


def test_a_refused_limit_close_is_not_tried_again_when_a_later_one_is_recorded_before(core: Core) -> None:
    refused(core)
    later = closed(core, "--limit", "120")
    core.run(later)

    follow_ups(core)

    assert (core.state(later), len(closes(core))) == ("accepted", 2)


def test_an_exit_does_not_wait_for_the_next_try_of_a_refused_limit_close(core: Core) -> None:
    refused(core)
    follow_ups(core)
    core.rows("UPDATE execution SET due_at = due_at + interval '1 minute' WHERE state = 'held'")
    sale = core.send("AAPL", "SELL")

    assert core.run(sale)["order_id"] is not None
    assert closes(core)[1]["reason_code"] == "superseded"


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("action", ["SELL", "REVERSE"])
@pytest.mark.parametrize("terms", [("--limit", "200"), ("--percent", "10")])
def test_whatever_may_close_the_position_is_not_ended_by_a_close_that_may_leave_it(
    make_core: MakeCore, terms: tuple[str, str], action: str
) -> None:
    core = make_core(changed_toml(closed='"hold"', factory={"order": 'close_scope = "account"'}))
    core.prices(AAPL=100)
    clock(core, MONDAY)
    filled(core, quantity=10, strategy="one")
    clock(core, MONDAY_EVENING)
    core.rows("DELETE FROM account_snapshot")
    sale = core.send("AAPL", action, strategy="two")
    assert core.run(sale)["reason_code"] == "market_closed"
    close = closed(core, *terms)
    core.due_now(sale)
    core.run(close)

    assert core.execution(sale)["reason_code"] != "superseded"
