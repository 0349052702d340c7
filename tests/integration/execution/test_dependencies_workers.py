"""Workers as processes: one is frozen during a broker call, and many work on one symbol."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import pytest

from tests.acceptance.stage import frozen
from tests.core_fixtures import Processes
from tests.factories import Core, executor_toml, signal, until

log = logging.getLogger(__name__)

#: Longer than a lease; the environment variable sets a longer time for a run by hand.
FROZEN_S = float(os.environ.get("FROZEN_S", "5"))
BURST = 50
UNDECIDED = """
    SELECT execution_id FROM execution
    WHERE execution_id = ANY(%s) AND state IN ('queued', 'held', 'submitting', 'unknown')
"""
TAKES = "SELECT count(*) FROM history WHERE execution_id = ANY(%s) AND to_state = 'submitting'"


def alive(core: Core, kind: str, count: int) -> None:
    """Wait until *count* processes of *kind* have a heartbeat."""
    until(lambda: len(core.rows("SELECT 1 FROM heartbeat WHERE kind = %s", [kind])) == count, within_s=30)


def test_a_worker_frozen_past_its_lease_in_a_broker_call_sends_one_order(
    make_core: Callable[..., Core], processes: Processes
) -> None:
    core = make_core(executor_toml(broker_timeout_s=20))
    core.prices(AAPL=100)
    worker = processes.start(core, "work", "argo")
    processes.start(core, "keep")
    alive(core, "worker", 1)
    core.faults({"on": "submit", "kind": "latency", "seconds": 2.0, "count": 1})
    row = core.record_signal(signal("AAPL"))
    core.dispatcher.enqueue([row])
    until(lambda: core.execution(row.execution_id)["client_order_id"])

    with frozen(worker.pid):
        time.sleep(FROZEN_S)
        meanwhile = core.moves(row.execution_id)
    until(lambda: core.state(row.execution_id) in ("accepted", "filled"), within_s=30)
    core.faults()
    later = core.record_signal(signal("MSFT"))
    core.dispatcher.enqueue([later])
    until(lambda: core.execution(later.execution_id)["order_id"], within_s=30)

    assert meanwhile[:3] == ["queued", "submitting", "unknown"]
    mine = [order for order in core.orders() if order["symbol"] == "AAPL"]
    assert [order["id"] for order in mine] == [core.execution(row.execution_id)["order_id"]]
    assert worker.poll() is None


def burst(core: Core, symbol: str) -> float:
    """Execute a burst of one symbol, check the order of sending, and return the seconds that it took."""
    rows = [core.record_signal(signal(symbol)) for _ in range(BURST)]
    ids = [row.execution_id for row in rows]
    began = time.monotonic()
    core.dispatcher.enqueue(rows)
    until(lambda: not core.rows(UNDECIDED, [ids]), within_s=60)
    took = time.monotonic() - began
    orders = [order for order in core.orders() if order["symbol"] == symbol]
    sent = [order["client_order_id"] for order in sorted(orders, key=lambda order: order["submitted_at"])]
    # Each execution is claimed only once: no worker took one too early and put it back.
    assert core.rows(TAKES, [ids]) == [{"count": BURST}]
    assert sent == [f"tw-{execution_id}-1" for execution_id in ids]
    return took


@pytest.mark.timeout(180)
def test_a_burst_of_one_symbol_keeps_its_order_with_one_worker_and_with_many(core: Core, processes: Processes) -> None:
    processes.start(core, "keep")
    processes.start(core, "work", "argo")
    alive(core, "worker", 1)
    burst(core, "ZZA")
    one = burst(core, "ZZB")
    for _ in range(2):
        processes.start(core, "work", "argo")
    alive(core, "worker", 3)
    three = burst(core, "ZZC")

    log.info("%d of one symbol: one worker %.2f s, three %.2f s, ratio %.2f", BURST, one, three, three / one)
