"""While an account's stream is open the keeper polls less often, and at once when the tracker asks for it."""

from __future__ import annotations

import pytest

from tests.factories import Core
from tests.integration.keeper.orders_at_rest import working
from tests.integration.keeper.test_keeper_polls import calm, requests
from workers.keeper.poll_trigger import PollTrigger


@pytest.fixture
def trigger(core: Core) -> PollTrigger:
    """The trigger of argo's poll, with an open order; its clock begins at 1000 s and stands still."""
    working(core)
    stream(core, "now()")
    return PollTrigger(polling=calm(core), clock=lambda: 1000.0)


def stream(core: Core, heard: str, *, state: str = "listening") -> None:
    """Record that argo's stream was last heard at *heard*, and that a poll is requested."""
    core.rows("DELETE FROM stream")
    core.rows(
        "INSERT INTO stream (executor_id, state, last_heard_at, poll_requested_at) "
        f"VALUES ('argo', '{state}', {heard}, clock_timestamp())"
    )


def cost(core: Core, trigger: PollTrigger, after_s: float) -> int:
    """Return how many requests the trigger's run sends, *after_s* seconds later."""
    before, now = requests(core), trigger.clock() + after_s
    trigger.clock = lambda: now
    trigger.run_once()
    return requests(core) - before


def test_an_open_stream_makes_polls_rare_and_a_request_makes_one_at_once(core: Core, trigger: PollTrigger) -> None:
    assert [cost(core, trigger, after_s) for after_s in (0, 0.5, 2, 2)] == [1, 0, 0, 0]

    stream(core, "now()")

    assert [cost(core, trigger, after_s) for after_s in (0.5, 0.6, 2)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("heard", "state"), [("now() - interval '16 seconds'", "listening"), ("now()", "down"), ("NULL", "listening")]
)
def test_polls_are_as_often_as_without_a_tracker_while_the_stream_is_not_heard(
    core: Core, trigger: PollTrigger, heard: str, state: str
) -> None:
    stream(core, heard, state=state)

    assert [cost(core, trigger, after_s) for after_s in (0, 1.9, 0.1, 2)] == [1, 0, 1, 1]


def test_an_exit_that_waits_for_a_cancel_is_as_urgent_as_without_a_stream(core: Core, trigger: PollTrigger) -> None:
    core.rows("UPDATE broker_order SET cancel_asked_at = now()")

    assert [cost(core, trigger, after_s) for after_s in (0, 2, 2)] == [1, 1, 1]


def test_the_end_of_an_exit_is_looked_for_as_often_as_without_a_stream(core: Core, trigger: PollTrigger) -> None:
    core.rows("UPDATE broker_order SET role = 'exit'")

    assert [cost(core, trigger, after_s) for after_s in (0, 2, 2)] == [1, 1, 1]


LATE = "UPDATE execution SET reason_code = 'late_order'"
#: A newer order follows an earlier one, which works at the broker.
REQUEUED = """
    INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, symbol,
        side, quantity, reference_price, request, ended_at)
    SELECT execution_id, 2, executor_id, account_number, left(client_order_id, -1) || '2', role, symbol, side, quantity,
        reference_price, request, now()
    FROM broker_order;
    UPDATE execution SET generation = 2
"""


@pytest.mark.parametrize("given_up", [LATE, REQUEUED])
def test_a_cancel_that_failed_is_repeated_as_often_as_without_a_stream(
    core: Core, trigger: PollTrigger, given_up: str
) -> None:
    core.rows(given_up)
    core.faults({"on": "cancel", "kind": "5xx_before", "count": 3})

    # Each poll asks for the list and for the cancel.
    assert [cost(core, trigger, after_s) for after_s in (0, 2, 2)] == [2, 2, 2]
