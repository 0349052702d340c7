"""Direct execution runs the same steps without the queue; if the queue runs the same execution, one order results."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest

from config.schema.broker_hosts import EXCHANGE_SECRET
from pipeline.model.orders import OrderRequest, OrderSide
from pipeline.store.rows import ExecutionRow
from tests.core_fixtures import Processes
from tests.factories import Core, json_line, signal, until
from tests.integration.limited_stage import filled
from workers.account.runtime import open_account
from workers.execution.direct import DirectExecutor
from workers.keeper.reconciliation import reconcile_once


@pytest.fixture
def direct(core: Core) -> Iterator[DirectExecutor]:
    runner = DirectExecutor(
        core.executors, settings=core.settings, database_url=core.database_url, by="test", reconcile=reconcile_once
    )
    yield runner
    runner.close()


def test_a_signal_is_executed_here_without_redis(core: Core, direct: DirectExecutor) -> None:
    row = core.record_signal(signal())

    direct.execute([row])

    execution = core.execution(row.execution_id)
    assert execution["order_id"] == core.orders()[0]["id"]
    assert execution["leased_by"] == "direct:test"
    assert core.queues.depth("argo") == 0


def test_what_is_not_queued_is_left_alone(core: Core, direct: DirectExecutor) -> None:
    rows = [core.record_signal(signal(confidence=10)), core.record_signal(signal("MSFT"))]

    direct.execute(rows)
    direct.execute(rows)

    assert core.state(rows[0].execution_id) == "skipped"
    assert len(core.orders()) == 1


def test_direct_and_queue_at_once_never_double(core: Core, direct: DirectExecutor, processes: Processes) -> None:
    processes.start(core, "work", "argo")
    processes.start(core, "keep")
    rows: list[ExecutionRow] = [core.record_signal(signal(f"Q{chr(65 + n)}")) for n in range(20)]
    rows += [core.record_signal(signal("AAPL")) for _ in range(10)]
    ringing = threading.Thread(target=lambda: [core.dispatcher.enqueue([row]) for row in rows])
    ringing.start()
    second = threading.Thread(target=lambda: direct.execute(reversed(rows)))
    second.start()

    direct.execute(rows)

    ringing.join(10)
    second.join(60)
    until(lambda: all(core.execution(row.execution_id)["order_id"] for row in rows))
    sent = [order["client_order_id"] for order in core.orders()]
    assert sorted(sent) == sorted(f"tw-{row.execution_id}-1" for row in rows)


def test_the_command_executes_without_a_redis(core: Core, processes: Processes) -> None:
    process = processes.start(
        core,
        "signal",
        "send",
        "-",
        "--direct",
        "--wait",
        "10",
        stdin=json_line(signal()),
        REDIS_URL="redis://127.0.0.1:1",
    )

    assert process.wait(30) == 0

    (line,) = processes.said(process).splitlines()
    (execution,) = json.loads(line)["executions"]
    assert execution["order_id"] == core.orders()[0]["id"]
    assert execution["status"] in ("accepted", "filled")


def test_an_exit_with_other_keys_sells_nothing_by_the_reading_of_the_account_before(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(core)
    monkeypatch.setenv("ARGO_API_KEY", "another")
    monkeypatch.setenv("ARGO_API_SECRET", EXCHANGE_SECRET)
    broker, _ = open_account(core.executors["argo"], settings=core.settings, exchange_url=core.exchange.url)
    terms = {"symbol": "AAPL", "side": OrderSide.BUY, "quantity": Decimal(5), "type": "market", "time_in_force": "day"}
    broker.submit(OrderRequest(client_order_id="by-hand", **terms))
    until(lambda: broker.position("AAPL"))
    runner = DirectExecutor(
        core.executors, settings=core.settings, database_url=core.database_url, by="test", reconcile=reconcile_once
    )
    row = core.record_signal(signal("AAPL", "SELL", intent="close"))

    runner.execute([row])

    runner.close()
    execution = core.execution(row.execution_id)
    assert (execution["reason_code"], execution["order_id"]) == ("no_position", None)


def test_a_broker_that_is_away_leaves_it_to_the_keeper(core: Core, direct: DirectExecutor) -> None:
    row = core.record_signal(signal())
    core.exchange.kill9()

    direct.execute([row])

    assert core.execution(row.execution_id)["reason_code"] == "broker_away"
    core.exchange.start()
    core.prices(AAPL=100)
    core.due_now(row.execution_id)
    core.sweep.run_once()
    assert core.queues.depth("argo") == 1


def test_the_first_entry_makes_the_reconcile_itself_and_an_exit_makes_none(core: Core, direct: DirectExecutor) -> None:
    filled(core, "MSFT")
    core.rows("DELETE FROM reconciliation")

    closing = core.record_signal(signal("MSFT", "SELL", intent="close"))
    direct.execute([closing])
    assert core.state(closing.execution_id) == "accepted"
    assert core.rows("SELECT * FROM reconciliation") == []

    opening = core.record_signal(signal())
    direct.execute([opening])
    assert core.state(opening.execution_id) == "accepted"
    assert len(core.rows("SELECT * FROM reconciliation")) == 1
