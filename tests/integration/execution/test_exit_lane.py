"""An exit has its order before entries of other symbols are decided, whatever these wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from pipeline.accounts.switches import Switches
from pipeline.model.switches import SwitchKind
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, signal, until
from tests.integration.limited_stage import changed_toml, filled
from workers.execution.exit_lane import ExitLane

Make = Callable[..., Core]

MARKET = {"order": 'type = "market"'}
MUTE = {"on": "prices", "kind": "silence_before", "seconds": 60}


def pause(core: Core) -> None:
    Switches(core.record).turn("argo", SwitchKind.PAUSED, by="test", why="lunch")


def mute_prices(core: Core) -> None:
    core.faults(MUTE)


def slow(core: Core) -> None:
    core.faults({"on": "submit", "kind": "latency", "seconds": 0.3}, MUTE)


def use_up_the_budget(core: Core) -> None:
    # Entries may use three quarters of the 300 requests, and this takes more than that.
    core.rows("SELECT take_requests(account_number, 250, 100000, true) FROM account_snapshot")
    core.faults(MUTE)


HOLDS: dict[str, Callable[[Core], None]] = {
    "paused": pause,
    "market data mute": mute_prices,
    "broker slow": slow,
    "budget used up": use_up_the_budget,
}


def batch(core: Core, count: int) -> list[UUID]:
    """Record one entry for each of several symbols, and enqueue them."""
    symbols = [f"Q{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(count)]
    core.prices(**dict.fromkeys(symbols, 100))
    rows = [core.record_signal(signal(symbol)) for symbol in symbols]
    core.dispatcher.enqueue(rows)
    return [row.execution_id for row in rows]


def decided_before(core: Core, leave: UUID, entries: list[UUID]) -> list[Any]:
    """Return the entries that had an order or an end before the exit had its order."""
    return core.rows(
        "SELECT h.execution_id FROM history h WHERE h.execution_id = ANY(%s) "
        "AND h.to_state NOT IN ('queued', 'held', 'submitting') AND h.history_id < (SELECT min(history_id) "
        "FROM history WHERE execution_id = %s AND to_state IN ('accepted', 'filled'))",
        [entries, leave],
    )


@pytest.mark.parametrize(("action", "count"), [("SELL", 3), ("SELL", 12), ("SELL", 40), ("FLAT", 12), ("REVERSE", 12)])
@pytest.mark.parametrize("hold", HOLDS)
def test_an_exit_overtakes_entries_of_other_symbols(
    make_core: Make, processes: Processes, hold: str, action: str, count: int
) -> None:
    core = make_core(changed_toml(factory=MARKET, price_drift_percent="5", requests_per_minute="300"))
    core.prices(AAPL=100)
    filled(core)
    HOLDS[hold](core)
    entries = batch(core, count)
    processes.start(core, "keep")
    processes.start(core, "work", "argo")
    # Wait until the worker has begun with the entries. The keeper enqueues them again and again.
    until(lambda: core.rows("SELECT 1 FROM history WHERE execution_id = ANY(%s) AND to_state = 'held'", [entries]))

    leave = core.record_signal(signal("AAPL", action))
    core.dispatcher.enqueue([leave])

    until(lambda: core.execution(leave.execution_id)["order_id"])
    assert decided_before(core, leave.execution_id, entries) == []


@pytest.mark.parametrize("count", [3, 12, 40])
def test_an_exit_does_not_wait_for_entries_that_are_decided_slowly(
    make_core: Make, processes: Processes, count: int
) -> None:
    core = make_core(changed_toml(factory=MARKET | {"broker_timeout_s": 60}, price_drift_percent="5"))
    core.prices(AAPL=100)
    filled(core)
    core.faults({"on": "prices", "kind": "latency", "seconds": 3})
    entries = batch(core, count)
    leave = core.record_signal(signal("AAPL", "SELL"))
    core.dispatcher.enqueue([leave])
    processes.start(core, "work", "argo")

    until(lambda: core.execution(leave.execution_id)["order_id"])

    assert len(decided_before(core, leave.execution_id, entries)) < count


@pytest.fixture
def lane(core: Core) -> Any:
    """The exit lane of a worker whose main thread does nothing."""
    made = ExitLane(core.runtimes["argo"], leases=core.leases, worker="lane", database_url=core.database_url)
    yield made
    made.close()


def old(core: Core, *executions: UUID) -> None:
    """Make executions a minute older, as if they had waited."""
    core.rows(
        "UPDATE execution SET created_at = created_at - interval '1 minute', due_at = due_at - interval '1 minute' "
        "WHERE execution_id = ANY(%s)",
        [list(executions)],
    )


def test_the_lane_takes_an_exit_that_no_worker_took_and_no_entry(core: Core, lane: ExitLane) -> None:
    filled(core)
    entry, leave, fresh = core.send("MSFT"), core.send("AAPL", "SELL", quantity=1), core.send("AAPL", "SELL")
    old(core, entry, leave)

    lane.run_once()

    assert core.execution(leave)["order_id"] is not None
    assert [core.state(each) for each in (entry, fresh)] == ["queued", "queued"]


def test_the_lane_takes_a_held_exit_that_is_due(core: Core, lane: ExitLane) -> None:
    filled(core)
    core.faults({"on": "positions", "kind": "5xx_before", "count": 1})
    leave = core.send("AAPL", "SELL")
    assert core.run(leave)["state"] == "held"
    old(core, leave)

    lane.run_once()

    assert core.execution(leave)["order_id"] is not None


def test_the_lane_leaves_the_next_of_the_symbol_to_the_worker(core: Core, lane: ExitLane) -> None:
    filled(core)
    leave, entry = core.send("AAPL", "SELL"), core.send("AAPL")
    core.run(entry)
    old(core, leave)

    lane.run_once()

    assert core.execution(leave)["order_id"] is not None
    assert core.state(entry) == "queued"
    core.sweep.run_once()
    assert core.queues.waiting("argo", [core.execution(entry)["job_id"]]) == [True]


def test_an_exit_waits_in_the_lane_for_an_earlier_order_of_its_symbol(core: Core, lane: ExitLane) -> None:
    core.faults({"on": "submit", "kind": "drop_after", "count": 1})
    entry = core.send()
    assert core.run(entry)["state"] == "unknown"
    leave = core.send("AAPL", "SELL")
    old(core, leave)

    lane.run_once()

    assert core.state(leave) == "queued"


def test_the_lane_decides_the_entry_that_its_exit_has_to_wait_for(core: Core, lane: ExitLane) -> None:
    core.faults({"on": "submit", "kind": "drop_before", "count": 1})
    entry = core.send()
    assert core.run(entry)["state"] == "unknown"
    until(lambda: core.unknowns.run_once() or core.state(entry) == "held")
    leave = core.send("AAPL", "SELL")
    old(core, leave)

    lane.run_once()

    assert core.execution(entry)["order_id"] is not None
    assert core.moves(leave) != ["queued"]


@pytest.mark.parametrize("action", ["FLAT", "REVERSE"])
@pytest.mark.parametrize("opened_by", ["BUY", "SELL"])
def test_the_lane_takes_an_exit_of_either_side(make_core: Make, action: str, opened_by: str) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    filled(core, action=opened_by)
    entry, leave = core.send("MSFT"), core.send("AAPL", action)
    old(core, entry, leave)
    lane = ExitLane(core.runtimes["argo"], leases=core.leases, worker="lane", database_url=core.database_url)

    lane.run_once()

    lane.close()
    assert core.execution(leave)["order_id"] is not None
    assert core.state(entry) == "queued"


@pytest.mark.parametrize("held", [False, True])
def test_where_shorting_is_allowed_only_what_closes_a_position_is_an_exit(make_core: Make, *, held: bool) -> None:
    core = make_core(executor_toml(order="allow_short = true"))
    core.prices(AAPL=100)
    if held:
        filled(core)
    else:
        core.runtimes["argo"].snapshots.read()
    sale = core.send("AAPL", "SELL")
    old(core, sale)
    lane = ExitLane(core.runtimes["argo"], leases=core.leases, worker="lane", database_url=core.database_url)

    lane.run_once()

    lane.close()
    assert (core.execution(sale)["order_id"] is not None) is held


@pytest.mark.parametrize("shorts", [False, True])
def test_no_number_of_executions_of_another_symbol_keeps_an_exit_waiting(make_core: Make, *, shorts: bool) -> None:
    core = make_core(executor_toml(order=f"allow_short = {str(shorts).lower()}"))
    core.prices(AAPL=100, MSFT=100)
    if shorts:
        filled(core)
    filled(core, "MSFT")
    # The first is an entry. The others are entries too, or exits that wait for the entry.
    others = [core.send("AAPL"), *(core.send("AAPL", "BUY" if shorts else "SELL") for _ in range(200))]
    leave = core.send("MSFT", "SELL")
    old(core, *others, leave)
    lane = ExitLane(core.runtimes["argo"], leases=core.leases, worker="lane", database_url=core.database_url)

    lane.run_once()

    lane.close()
    assert core.execution(leave)["order_id"] is not None
