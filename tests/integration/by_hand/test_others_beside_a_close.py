"""A close by hand at a limit, or of a part, keeps nothing else of its symbol waiting, and ends no exit for nothing."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from pipeline.model.reasons import Code
from pipeline.operations.tokens import Scope, make_token
from tests.factories import Core, executor_toml
from tests.integration.by_hand.commands import closed, follow_ups, held, worked
from tests.integration.limited_stage import MONDAY, MONDAY_EVENING, changed_toml, clock, filled
from tests.web import serving, web_context


def go_on(core: Core, *executions: UUID) -> None:
    """Let the worker and the keeper do some rounds."""
    for _ in range(10):
        for execution_id in executions:
            if core.state(execution_id) in ("queued", "held"):
                core.due_now(execution_id)
                core.run(execution_id)
        follow_ups(core)
        core.follower().run_once()


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize("terms", [("--limit", "200"), ("--percent", "10")])
def test_an_exit_that_waits_is_not_ended_by_a_close_that_may_leave_its_position(
    make_core: Callable[..., Core], terms: tuple[str, str]
) -> None:
    core = make_core(changed_toml(closed='"hold"'))
    core.prices(AAPL=100)
    clock(core, MONDAY)
    filled(core, quantity=10)
    clock(core, MONDAY_EVENING)
    core.rows("DELETE FROM account_snapshot")
    sale = core.send("AAPL", "SELL")
    assert core.run(sale)["reason_code"] == "market_closed"
    close = closed(core, *terms)
    core.due_now(sale)
    core.run(close)

    assert core.execution(sale)["reason_code"] != "superseded"


@pytest.mark.usefixtures("core")
def test_an_exit_behind_another_waiting_execution_takes_the_place_of_a_limit_close(
    make_core: Callable[..., Core],
) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    filled(core, quantity=3)
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")
    core.rows("UPDATE account_snapshot SET taken_at = taken_at - interval '1 minute'")
    opening = core.send("AAPL", "SELL", intent="open", strategy="two")
    core.run(opening)
    sale = core.send("AAPL", "SELL", intent="close")
    go_on(core, opening, sale)

    assert (core.state(close), core.state(sale), held(core)) == ("canceled", "filled", 0)


def test_a_requeued_exit_takes_the_place_of_a_limit_close(core: Core) -> None:
    filled(core, quantity=3)
    sale = core.send("AAPL", "SELL")
    core.rows(
        "UPDATE execution SET state = 'submitting', lease_until = clock_timestamp(), lease_token = gen_random_uuid(), "
        "leased_by = 'x', due_at = NULL, fence = fence + 1 WHERE execution_id = %s",
        [sale],
    )
    core.rows(
        "UPDATE execution SET state = 'dead', reason_code = 'attempts_used_up', lease_until = NULL "
        "WHERE execution_id = %s",
        [sale],
    )
    close = closed(core, "--limit", "120")
    worked(core, close, "accepted")
    core.dead_letters.requeue(sale, by="ann", why="again")
    go_on(core, sale)

    assert (core.state(close), core.state(sale), held(core)) == ("canceled", "filled", 0)


@pytest.mark.parametrize("intent", ["auto", "close"])
def test_a_close_does_not_wait_behind_an_exit_that_waits_for_the_minimum_hold(
    make_core: Callable[..., Core], core: Core, intent: str
) -> None:
    filled(core)
    holding = make_core(executor_toml() + "[executors.argo.firm]\nminimum_hold_s = 600\n")
    sale = holding.send("AAPL", "SELL", intent=intent)
    assert holding.run(sale)["reason_code"] == Code.MINIMUM_HOLD

    worked(holding, closed(core), "filled")

    assert core.execution(sale)["reason_code"] == Code.SUPERSEDED


@pytest.mark.parametrize(("terms", "left"), [(("--percent", "50"), 5), (("--limit", "50"), 0)])
def test_a_close_that_may_leave_a_part_does_not_wait_behind_an_exit_that_waits_for_the_minimum_hold(
    make_core: Callable[..., Core], core: Core, terms: tuple[str, str], left: int
) -> None:
    filled(core, quantity=10)
    holding = make_core(executor_toml() + "[executors.argo.firm]\nminimum_hold_s = 600\n")
    sale = holding.send("AAPL", "SELL", intent="close")
    assert holding.run(sale)["reason_code"] == Code.MINIMUM_HOLD

    worked(holding, closed(core, *terms), "filled")

    assert (held(holding), holding.execution(sale)["reason_code"]) == (left, Code.MINIMUM_HOLD)
    holding.rows(
        "UPDATE holding SET opened_at = opened_at - interval '1 hour', changed_at = changed_at - interval '1 minute'"
    )
    go_on(holding, sale)
    assert held(holding) == 0


def test_an_entry_behind_a_limit_close_ends_by_its_age(core: Core) -> None:
    filled(core, quantity=3)
    worked(core, closed(core, "--limit", "120"), "accepted")
    entry = core.send("AAPL")
    assert core.run(entry)["reason_code"] == "order_under_way"
    core.rows(
        "UPDATE signal SET recorded_at = recorded_at - interval '5 hours', "
        "generated_at = recorded_at - interval '5 hours', expires_at = recorded_at - interval '4 hours' "
        "WHERE signal_id = (SELECT signal_id FROM execution WHERE execution_id = %s)",
        [entry],
    )
    core.rows("UPDATE execution SET created_at = created_at - interval '5 hours' WHERE execution_id = %s", [entry])
    core.due_now(entry)

    assert core.run(entry)["reason_code"] == "too_old"


def test_the_ids_of_closes_are_those_of_each_token(core: Core) -> None:
    filled(core, quantity=3)
    with serving(web_context(core.record, core.redis_url, executors=core.executors_path)) as client:

        def close(token: str) -> UUID:
            answer = client.post(
                "/api/v1/positions/argo/AAPL/close",
                json={"source_id": "1"},
                params={"timeout": 0},
                headers={"Authorization": f"Bearer {token}"},
            )
            return UUID(answer.json()["executions"][0]["execution_id"])

        desk, bob = (make_token(core.record, name, [Scope.OPERATE], by="test") for name in ("desk", "bob"))
        first = close(desk)
        assert close(desk) == first
        worked(core, first, "filled")
        filled(core, quantity=5)
        assert close(bob) != first
