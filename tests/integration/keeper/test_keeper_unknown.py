"""Look-ups of unknown orders: each result, and the time limit, which does not run while the broker is away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from pipeline.accounts.switches import PERSON, turn_on
from pipeline.model.switches import SwitchKind
from pipeline.monitoring.alerts.execution_conditions import failed_exits
from tests.factories import Core, executor_toml, until
from tests.integration.keeper.orders_at_rest import arrive
from tests.integration.limited_stage import filled
from workers.brokers.protocol import Accepted, OrderRequest


def unknown(core: Core, kind: str = "drop_before", **changes: Any) -> UUID:
    """Return an execution whose order got no answer."""
    core.faults({"on": "submit", "kind": kind, "count": 1})
    execution_id = core.send(**changes)
    assert core.run(execution_id)["state"] == "unknown"
    return execution_id


def look(core: Core, execution_id: UUID) -> str:
    """Look the order up now, and return the execution's state."""
    core.due_now(execution_id)
    core.unknowns.run_once()
    return core.state(execution_id)


def look_until(core: Core, execution_id: UUID, state: str) -> dict[str, Any]:
    """Look the order up at the keeper's own interval until the execution has the state."""
    until(lambda: core.unknowns.run_once() or core.state(execution_id) == state)
    until(lambda: core.state(execution_id) == state)
    return core.execution(execution_id)


@pytest.mark.parametrize("kind", ["drop_after", "5xx_after", "garbage", "silence_after"])
def test_found_is_adopted(core: Core, kind: str) -> None:
    execution_id = unknown(core, kind)

    assert look(core, execution_id) in ("accepted", "filled")

    execution = core.execution(execution_id)
    assert execution["order_id"] == core.orders()[0]["id"]
    assert (execution["reason_code"], execution["unknown_since"], execution["due_at"]) == (None, None, None)
    assert len(core.orders()) == 1


def test_an_order_is_adopted_whatever_the_difference_of_the_clocks(core: Core) -> None:
    """PostgreSQL's clock is five minutes ahead of the broker's, and only the list of orders shows the order."""
    core.exchange.admin("clock", {"mode": "fixed", "now": (datetime.now(UTC) - timedelta(minutes=5)).isoformat()})
    core.runtimes["argo"].snapshots.read()
    core.faults(
        {"on": "submit", "kind": "drop_after", "count": 1}, {"on": "lookup", "kind": "lagging_reads", "seconds": 600}
    )
    execution_id = core.send(symbol="BTC/USD")
    assert core.run(execution_id)["state"] == "unknown"
    core.rows("UPDATE broker_order SET intended_at = intended_at + interval '5 minutes'")
    assert look(core, execution_id) == "unknown"

    assert look(core, execution_id) in ("accepted", "filled")


def test_one_clean_absence_proves_nothing(core: Core) -> None:
    execution_id = unknown(core)

    assert look(core, execution_id) == "unknown"
    assert look(core, execution_id) == "unknown"  # Too soon after the send, because reads lag.


def test_one_absence_proves_nothing_however_long_after_the_send(core: Core) -> None:
    execution_id = unknown(core)
    core.rows("UPDATE broker_order SET last_sent_at = last_sent_at - interval '5 seconds'")

    assert look(core, execution_id) == "unknown"
    assert look(core, execution_id) == "held"


def test_an_absent_order_that_is_still_good_is_sent_again_under_the_same_id_with_the_same_body(core: Core) -> None:
    execution_id = unknown(core)
    body = core.execution(execution_id)["request"]

    held = look_until(core, execution_id, "held")

    assert held["reason_code"] == "send_again"
    sent = core.run(execution_id)
    assert sent["request"] == body
    assert (sent["attempts"], sent["generation"]) == (2, 1)
    assert [order["client_order_id"] for order in core.orders()] == [f"tw-{execution_id}-1"]


def test_an_absent_order_that_is_not_good_any_more_is_skipped_with_the_reason(core: Core) -> None:
    execution_id = unknown(core)
    look_until(core, execution_id, "held")
    core.rows("UPDATE signal SET expires_at = now() - interval '1 second'")

    execution = core.run(execution_id)

    assert (execution["state"], execution["reason_code"]) == ("skipped", "expired_signal")
    assert core.orders() == []


def test_an_order_absent_too_long_after_its_first_send_is_a_dead_letter(core: Core) -> None:
    execution_id = unknown(core)
    core.rows(
        "UPDATE broker_order SET first_sent_at = now() - interval '11 minutes', last_sent_at = now() - interval '1 min'"
    )
    look(core, execution_id)

    assert look(core, execution_id) == "dead"
    assert core.execution(execution_id)["reason_code"] == "attempts_used_up"


def test_an_exit_absent_after_every_attempt_waits_and_is_sent_again(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(attempts=2, unknown_s=30))
    core.prices(AAPL=100)
    filled(core)
    leave = unknown(core, action="SELL")
    for _ in range(2):
        core.rows("UPDATE broker_order SET last_sent_at = now() - interval '1 minute'")
        look_until(core, leave, "held")
        core.faults({"on": "submit", "kind": "5xx_before"})
        core.due_now(leave)
        assert core.run(leave)["state"] == "unknown"

    core.rows("UPDATE broker_order SET last_sent_at = now() - interval '1 minute'")
    waits = look_until(core, leave, "held")

    assert (waits["reason_code"], waits["attempts"]) == ("send_again", 3)
    assert core.rows("SELECT due_at > now() + interval '5 seconds' AS pauses FROM execution WHERE state = 'held'") == [
        {"pauses": True}
    ]
    raised = core.record.run(lambda connection: failed_exits(connection, core.executors)).raised
    assert [each.facts["execution_id"] for each in raised] == [str(leave)]
    core.faults()
    core.due_now(leave)
    assert core.run(leave)["order_id"] is not None


def test_an_order_absent_after_every_attempt_is_a_dead_letter(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(attempts=2, unknown_s=30))
    core.prices(AAPL=100)
    execution_id = unknown(core)
    look_until(core, execution_id, "held")
    core.faults({"on": "submit", "kind": "5xx_before"})
    assert core.run(execution_id)["state"] == "unknown"

    dead = look_until(core, execution_id, "dead")

    assert (dead["reason_code"], dead["attempts"]) == ("attempts_used_up", 2)


@pytest.mark.parametrize("change", [{"qty": "7"}, {"side": "sell"}, {"symbol": "MSFT"}])
def test_another_order_under_our_id_is_a_dead_letter_and_never_adopted(core: Core, change: dict[str, str]) -> None:
    core.exchange.admin("accounts", {"key": "argo", "shorting_enabled": True})
    execution_id = unknown(core)
    request = core.execution(execution_id)["request"] | change
    del request["position_intent"]  # With this field, the broker refuses the other side.
    core.faults({"on": "submit", "kind": "no_fill", "seconds": 600})
    outcome = core.runtimes["argo"].broker.submit(OrderRequest.from_json(json.loads(json.dumps(request))))
    assert isinstance(outcome, Accepted)

    assert look(core, execution_id) == "dead"

    execution = core.execution(execution_id)
    assert (execution["reason_code"], execution["order_id"]) == ("order_mismatch", None)
    assert execution["reason_facts"]["order_id"] == outcome.order.order_id
    core.follower().run_once()
    assert core.state(execution_id) == "dead"


def test_a_duplicate_that_cannot_be_found_is_never_sent_again(core: Core) -> None:
    core.faults(
        {"on": "submit", "kind": "reject", "status": 422, "message": "client_order_id must be unique", "count": 1}
    )
    execution_id = core.send()
    assert core.run(execution_id)["reason_code"] == "duplicate_id"

    dead = look_until(core, execution_id, "dead")

    assert dead["reason_code"] == "unknown_too_long"
    assert "held" not in core.moves(execution_id)
    assert core.orders() == []


def test_an_order_for_another_account_is_not_sent_to_this_one(core: Core) -> None:
    execution_id = unknown(core)
    core.rows("UPDATE broker_order SET may_exist = false")
    core.rows("UPDATE broker_order SET account_number = 'PA0000000000', may_exist = true")
    look_until(core, execution_id, "held")

    execution = core.run(execution_id)

    assert (execution["state"], execution["reason_code"]) == ("dead", "account_changed")
    assert core.orders() == []


def test_time_without_answers_of_the_broker_does_not_end_the_search_for_an_order(core: Core) -> None:
    execution_id = unknown(core, "drop_after")
    core.exchange.kill9()
    for _ in range(8):
        assert look(core, execution_id) == "unknown"
    away = core.execution(execution_id)
    assert away["lookups"] == 8
    assert away["unknown_answered"].total_seconds() == 0  # Together, the eight pauses exceed unknown_s (3 s).

    core.exchange.start()

    assert look(core, execution_id) in ("accepted", "filled")


def test_a_broker_that_never_makes_sense_is_given_up_after_unknown_s(core: Core) -> None:
    execution_id = unknown(core, "drop_after")
    core.faults({"on": "lookup", "kind": "garbage_before"}, {"on": "list", "kind": "garbage_before"})
    began = time.monotonic()

    dead = look_until(core, execution_id, "dead")

    assert dead["reason_code"] == "unknown_too_long"
    assert dead["reason_facts"]["answered_for_s"] > 3
    assert time.monotonic() - began > 1
    # The order exists, so the dead execution takes the order's state when the broker can be read again.
    core.faults()
    core.follower().run_once()
    assert core.state(execution_id) in ("accepted", "filled")


def test_reads_that_lag_do_not_double_an_order(make_core: Callable[..., Core]) -> None:
    core = make_core(executor_toml(unknown_s=60))
    core.prices(AAPL=100)
    core.faults(
        {"on": "submit", "kind": "drop_after", "count": 1},
        {"on": "lookup", "kind": "lagging_reads", "seconds": 3},
        {"on": "list", "kind": "lagging_reads", "seconds": 3},
    )
    execution_id = core.send()
    core.run(execution_id)

    # The reads lag longer than two look-ups last, so the order is sent again, and the broker refuses the duplicate.
    look_until(core, execution_id, "held")
    assert core.run(execution_id)["reason_code"] == "duplicate_id"
    until(lambda: core.unknowns.run_once() or core.state(execution_id) in ("accepted", "filled"))

    assert len(core.orders()) == 1


def test_a_requeued_dead_letter_is_looked_up_before_anything_is_sent(core: Core) -> None:
    execution_id = unknown(core, "drop_after")
    core.rows("UPDATE execution SET state = 'dead', reason_code = 'unknown_too_long', due_at = NULL, moved_by = 'test'")
    core.dead_letters.requeue(execution_id, by="test", why="the broker is well again")

    assert core.run(execution_id)["state"] == "unknown"
    assert core.rows("SELECT outcome FROM attempt") == [{"outcome": "unknown"}]  # Nothing was sent a second time.
    assert look(core, execution_id) in ("accepted", "filled")
    assert len(core.orders()) == 1


def requeued_later(core: Core, execution_id: UUID) -> None:
    """Requeue the execution an hour after its first send, so that its order is looked up."""
    core.rows("UPDATE execution SET state = 'dead', reason_code = 'unknown_too_long', due_at = NULL, moved_by = 'test'")
    core.rows(
        "UPDATE broker_order SET first_sent_at = now() - interval '1 hour', last_sent_at = now() - interval '1 hour'"
    )
    core.dead_letters.requeue(execution_id, by="test", why="the broker is well again")
    assert core.run(execution_id)["state"] == "unknown"


def absent_for(core: Core, seconds: int) -> None:
    """Move the first look-up that found no order *seconds* into the past."""
    core.rows("UPDATE execution SET absent_since = absent_since - make_interval(secs => %s)", [seconds])


def test_a_requeue_long_after_the_first_send_is_a_new_order_once_the_old_one_is_proved_absent(core: Core) -> None:
    execution_id = unknown(core)
    requeued_later(core, execution_id)
    assert look(core, execution_id) == "unknown"
    assert look(core, execution_id) == "unknown"  # A new id needs a minute of absence.
    absent_for(core, 60)

    assert look(core, execution_id) == "held"

    assert core.run(execution_id)["client_order_id"] == f"tw-{execution_id}-2"
    assert len(core.orders()) == 1


def test_an_absence_before_a_requeue_proves_nothing_after_it(core: Core) -> None:
    """The request may have been on its way until the requeue, so earlier look-ups show nothing."""
    execution_id = unknown(core)
    look(core, execution_id)
    absent_for(core, 3600)
    requeued_later(core, execution_id)
    arrive(core, execution_id)

    assert look(core, execution_id) in ("accepted", "filled")

    assert [order["client_order_id"] for order in core.orders()] == [f"tw-{execution_id}-1"]


def test_an_answer_that_is_not_clean_begins_the_minute_of_absence_again(core: Core) -> None:
    execution_id = unknown(core)
    requeued_later(core, execution_id)
    look(core, execution_id)
    look(core, execution_id)
    absent_for(core, 60)
    core.faults({"on": "lookup", "kind": "garbage_before", "count": 1})
    assert look(core, execution_id) == "unknown"

    assert look(core, execution_id) == "unknown"
    assert core.execution(execution_id)["generation"] == 1


def test_a_duplicate_never_gets_a_new_id_however_long_it_cannot_be_found(core: Core) -> None:
    core.faults(
        {"on": "submit", "kind": "reject", "status": 422, "message": "client_order_id must be unique", "count": 1}
    )
    execution_id = core.send()
    assert core.run(execution_id)["reason_code"] == "duplicate_id"
    requeued_later(core, execution_id)
    for _ in range(3):
        assert look(core, execution_id) == "unknown"
        absent_for(core, 3600)

    dead = look_until(core, execution_id, "dead")

    assert (dead["reason_code"], dead["generation"]) == ("unknown_too_long", 1)
    assert core.orders() == []


def test_a_hold_that_outlasts_the_ten_minutes_ends_in_a_look_up_and_not_in_a_send(core: Core) -> None:
    execution_id = unknown(core)
    look_until(core, execution_id, "held")
    pause = {"account_key": "executor:argo", "cause": PERSON, "by": "test"}
    core.record.run(lambda connection: turn_on(connection, kind=SwitchKind.PAUSED, facts={}, **pause))
    assert core.run(execution_id)["reason_code"] == "paused"
    core.rows("UPDATE broker_order SET first_sent_at = now() - interval '11 minutes'")
    core.rows("DELETE FROM switch")
    core.due_now(execution_id)

    assert core.run(execution_id)["state"] == "unknown"

    assert look_until(core, execution_id, "dead")["reason_code"] == "attempts_used_up"
    assert core.orders() == []
