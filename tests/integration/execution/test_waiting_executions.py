"""An execution waits until the condition that holds it has ended at its own account."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from tests.factories import Core, executor_toml, until
from tests.integration.limited_stage import MONDAY, MONDAY_EVENING, changed_toml, clock

Make = Callable[..., Core]
EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-11))


@pytest.fixture
def two(make_core: Make) -> Core:
    """A core with two executors, each with an account of its own."""
    core = make_core(executor_toml("argo") + executor_toml("prop_firm"))
    core.prices(AAPL=100)
    return core


@pytest.mark.parametrize(
    "says", ["insufficient buying power", "position limit reached", "market hours", "retry later please"]
)
def test_a_refusal_is_classified_by_its_status_and_never_by_its_words(core: Core, says: str) -> None:
    core.faults({"on": "submit", "kind": "reject", "message": says})

    execution = core.run(core.send())

    assert (execution["state"], execution["reason_code"]) == ("rejected", "rejected_by_broker")
    assert execution["due_at"] is None


def test_each_wait_ends_when_its_own_condition_ends(make_core: Make) -> None:
    core = make_core(changed_toml(closed='"hold"'))
    core.prices(AAPL=100)
    clock(core, MONDAY_EVENING)
    held = core.send()
    assert core.run(held)["reason_code"] == "market_closed"
    core.due_now(held)
    assert core.run(held)["reason_code"] == "market_closed"

    clock(core, MONDAY)
    core.runtimes["argo"].snapshots.read()
    core.due_now(held)

    assert core.run(held)["order_id"] is not None


def test_an_exit_that_waits_for_a_position_finds_it(core: Core) -> None:
    core.faults({"on": "submit", "kind": "partial_fill", "seconds": 600, "count": 1})
    entry = core.send(quantity=10)
    core.run(entry)
    until(lambda: core.follower().run_once() or core.state(entry) == "partially_filled")
    sold = core.send("AAPL", "SELL")
    assert core.run(sold)["reason_code"] == "order_under_way"

    until(lambda: core.follower().run_once() or core.state(entry) == "canceled")
    core.due_now(sold)

    assert core.run(sold)["quantity"] == 5


def test_each_executor_is_checked_against_its_own_account(two: Core) -> None:
    two.exchange.admin("accounts", {"key": "argo", "cash": "0"})
    recorded = two.intake.record({"symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 100}, source="a")

    ends = {row.executor_id: two.run(row.execution_id, row.executor_id) for row in recorded.executions}

    assert ends["argo"]["reason_code"] == "buying_power_used_up"
    assert ends["prop_firm"]["order_id"] == two.orders("prop_firm")[0]["id"]
    assert two.orders("argo") == []


def test_a_wait_at_one_executor_replaces_nothing_at_another(two: Core) -> None:
    two.faults({"on": "submit", "kind": "429"})
    raw = {"symbol": "AAPL", "action": "BUY", "confidence": 98, "entry_price": 100}
    recorded = two.intake.record(raw, source="a")
    for row in recorded.executions:
        assert two.run(row.execution_id, row.executor_id)["reason_code"] == "rate_limited"

    two.faults()
    for row in recorded.executions:
        until(lambda row=row: _goes(two, row.execution_id, row.executor_id))

    assert [len(two.orders(executor)) for executor in ("argo", "prop_firm")] == [1, 1]


def _goes(core: Core, execution_id: UUID, executor: str) -> bool:
    core.due_now(execution_id)
    return core.run(execution_id, executor)["order_id"] is not None


@pytest.mark.parametrize("kind", ["garbage_before", "html", "5xx_before"])
def test_an_account_that_cannot_be_read_is_not_taken_as_empty(core: Core, kind: str) -> None:
    core.faults({"on": "account", "kind": kind, "count": 1})
    execution_id = core.send()

    held = core.run(execution_id)

    assert (held["state"], held["reason_code"] in ("account_unreadable", "broker_away")) == ("held", True)
    until(lambda: _goes(core, execution_id, "argo"))


@pytest.mark.parametrize("zone", [EAST, UTC, WEST], ids=["+14:00", "UTC", "-11:00"])
def test_an_expiry_is_one_moment_in_every_time_zone(core: Core, zone: timezone) -> None:
    now = datetime.now(zone)

    over = core.run(core.send(expires_at=(now - timedelta(seconds=5)).isoformat()))
    valid = core.run(core.send("MSFT", expires_at=(now + timedelta(seconds=60)).isoformat()))

    assert (over["state"], over["reason_code"]) == ("skipped", "expired_signal")
    assert valid["order_id"] is not None


def test_a_held_execution_expires_too(core: Core) -> None:
    core.faults({"on": "submit", "kind": "429"})
    execution_id = core.send(expires_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    assert core.run(execution_id)["state"] == "held"
    core.faults()

    def ends() -> Any:
        core.due_now(execution_id)
        return core.run(execution_id)["reason_code"] == "expired_signal"

    core.rows("SELECT pg_sleep(1.1)")
    until(ends)
    assert core.orders() == []


def test_an_execution_of_a_crashed_worker_is_taken_back_and_finished(core: Core) -> None:
    execution_id = core.send()
    taken = core.recipe(worker="crashed").claim(execution_id)
    assert taken is not None
    core.rows("UPDATE execution SET lease_until = now() - interval '1 second' WHERE execution_id = %s", [execution_id])

    core.sweep.run_once()

    assert core.state(execution_id) == "queued"
    assert core.run(execution_id)["order_id"] is not None


def test_tries_are_counted_and_end_with_a_person(core: Core) -> None:
    core.faults({"on": "account", "kind": "garbage_before"})
    execution_id = core.send()
    tries = 0
    while core.run(execution_id)["state"] == "held":
        core.due_now(execution_id)
        tries += 1
        assert tries < 10

    ended = core.execution(execution_id)
    assert (ended["state"], ended["attempts"]) == ("dead", core.executors["argo"].retry.attempts)
    assert [letter.execution_id for letter in core.dead_letters.open()] == [execution_id]


def test_a_due_execution_is_enqueued_and_not_only_logged(core: Core) -> None:
    core.faults({"on": "submit", "kind": "429", "count": 1})
    execution_id = core.send()
    assert core.run(execution_id)["state"] == "held"
    assert core.queues.depth("argo") == 0
    core.due_now(execution_id)

    core.sweep.run_once()

    assert core.queues.depth("argo") == 1
