"""Retention removes the details of old, ended work. It keeps unfinished work, and all that prevents a second trade."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from pipeline.entrypoints.cli.executions import print_life
from pipeline.model.times import moment_of
from pipeline.operations.retention import Removed, remove_details
from pipeline.views.history import signal_history
from tests.core_fixtures import Processes
from tests.factories import Core, signal
from tests.integration.limited_stage import filled
from tests.waiting import patience

OLD = 10_000


def prune(core: Core, *, dry_run: bool = False) -> Removed:
    return remove_details(core.record, before=moment_of("90d"), dry_run=dry_run)


def age(core: Core) -> None:
    """Make all executions and refusals in the record a year older."""
    core.rows(
        "UPDATE execution SET created_at = created_at - interval '1 year', ended_at = ended_at - interval '1 year'"
    )
    core.rows("UPDATE refusal SET at = at - interval '1 year'")


def record_many(core: Core, count: int) -> None:
    """Record *count* skipped signals of the source `test`, with the source ids old-1 and so on, and one that is run."""
    first = core.intake.record(signal("MSFT", source_id="old-0"), source="test").signal_id
    core.rows(
        "INSERT INTO signal SELECT (jsonb_populate_record(s, jsonb_build_object("
        "'signal_id', gen_random_uuid(), 'source_id', 'old-' || n))).* "
        "FROM signal AS s, generate_series(1, %s) AS n WHERE s.signal_id = %s",
        [count, first],
    )
    core.rows(
        "INSERT INTO execution (execution_id, signal_id, executor_id, mode, symbol, action, state, reason_code, "
        "moved_by, decided_at, ended_at) "
        "SELECT gen_random_uuid(), signal_id, 'argo', 'exchange', symbol, action, 'skipped', "
        "'repeated_idea', 'test', now(), now() FROM signal WHERE signal_id <> %s AND source = 'test'",
        [first],
    )
    core.run(core.rows("SELECT execution_id FROM execution WHERE signal_id = %s", [first])[0]["execution_id"])


def kept(core: Core, execution_id: UUID) -> bool:
    """Return whether the details of the execution are still in the record."""
    return core.execution(execution_id)["pruned_at"] is None and core.moves(execution_id) != []


def everything(core: Core) -> dict[str, Any]:
    return {
        table: core.rows(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("execution", "history", "attempt", "broker_order", "signal", "refusal")
    }


def test_an_old_signal_that_is_sent_again_after_its_details_were_removed_does_not_trade_again(core: Core) -> None:
    record_many(core, OLD)
    age(core)
    ids = [core.rows(f"SELECT {columns} ORDER BY 1") for columns in KEPT_FOR_EVER]

    removed = prune(core)

    assert removed.executions >= OLD
    assert core.rows(
        "SELECT count(*) AS n FROM history JOIN execution USING (execution_id) WHERE state = 'skipped'"
    ) == [{"n": 0}]
    assert [core.rows(f"SELECT {columns} ORDER BY 1") for columns in KEPT_FOR_EVER] == ids
    before = len(core.orders())
    for source_id in ("old-0", "old-1", f"old-{OLD}"):
        again = core.intake.record(signal("MSFT", source_id=source_id), source="test")
        assert again.duplicate
        for execution in again.executions:
            core.run(execution.execution_id)
    assert len(core.orders()) == before
    assert prune(core) == Removed(executions=0, steps=0, attempts=0, refusals=0, deliveries=0, events=0)


KEPT_FOR_EVER = (
    "signal_id, source, source_id, content_hash FROM signal",
    "execution_id, signal_id, state, reason_code, reason_facts::text FROM execution",
    "client_order_id, order_id, filled_quantity, filled_average_price FROM broker_order",
)


def test_unfinished_work_and_open_positions_keep_every_detail(core: Core) -> None:
    holds = filled(core, "AAPL")
    closed = [filled(core, "MSFT"), filled(core, "MSFT", "SELL", intent="close")]
    queued = core.send("NVDA")
    dead = core.send("AMD")
    core.rows(
        "UPDATE execution SET state = 'submitting', lease_until = now(), moved_by = 'test' WHERE execution_id = %s",
        [dead],
    )
    core.rows(
        "UPDATE execution SET state = 'dead', lease_until = NULL, reason_code = 'attempts_used_up', moved_by = 'test' "
        "WHERE execution_id = %s",
        [dead],
    )
    age(core)

    removed = prune(core)

    assert [kept(core, each) for each in (holds, queued, dead)] == [True, True, True]
    assert [kept(core, each) for each in closed] == [False, False]
    assert removed.executions == len(closed)
    assert removed.attempts == len(closed)


@pytest.mark.parametrize("unfinished", ["an open order", "an unsettled canceled order", "a flatten"])
def test_an_ended_execution_keeps_its_details_while_something_of_it_is_open(core: Core, unfinished: str) -> None:
    filled(core, "MSFT")
    closes = filled(core, "MSFT", "SELL", intent="close")
    if unfinished == "an open order":
        core.rows("UPDATE broker_order SET ended_at = NULL WHERE execution_id = %s", [closes])
    elif unfinished == "a flatten":
        core.rows(
            "INSERT INTO switch (switch_id, holder, kind, cause, flatten, set_by) SELECT gen_random_uuid(), "
            "account_number, 'halted', 'person', true, 'x' FROM broker_order LIMIT 1"
        )
    else:
        core.rows(
            "INSERT INTO canceled_order (order_id, client_order_id, executor_id, symbol, side, terms, execution_id) "
            "VALUES ('a', 'b', 'argo', 'MSFT', 'sell', '{}', %s)",
            [closes],
        )
    age(core)

    prune(core)

    assert kept(core, closes)


def test_what_is_newer_keeps_every_detail_and_a_dry_run_removes_nothing(core: Core) -> None:
    filled(core, "MSFT")
    core.intake.refuse({"symbol": "?"}, source="test", code="invalid", message="no")
    filled(core, "MSFT", "SELL", intent="close")
    new = everything(core)
    assert prune(core) == Removed(executions=0, steps=0, attempts=0, refusals=0, deliveries=0, events=0)
    assert everything(core) == new

    age(core)
    old = everything(core)
    would = prune(core, dry_run=True)

    assert everything(core) == old
    assert would == prune(core)
    assert (would.executions, would.refusals) == (2, 1)


def test_why_says_that_the_details_were_removed_and_when(core: Core, capsys: pytest.CaptureFixture[str]) -> None:
    record_many(core, 1)
    age(core)
    prune(core)
    (row,) = core.rows("SELECT execution_id, pruned_at FROM execution WHERE reason_code = 'repeated_idea' LIMIT 1")

    body = signal_history(core.record, row["execution_id"]).to_json()
    print_life(body, as_json=False)

    (execution,) = body["executions"]
    said = capsys.readouterr().out
    assert f"removed by `tradewire retention` at {execution['pruned_at']}" in said
    assert execution["pruned_at"][:10] == f"{row['pruned_at']:%Y-%m-%d}"
    assert "repeated_idea" in said


def test_the_command_counts_and_removes_and_refuses_what_is_too_new(core: Core, processes: Processes) -> None:
    record_many(core, 3)
    age(core)

    def run(*options: str) -> tuple[int, str]:
        process = processes.start(core, "retention", *options)
        return process.wait(patience(15)), processes.said(process)

    assert run("--before", "3d")[0] == 2
    code, said = run("--dry-run", "--json")
    counted = json.loads(said[said.index("{") :])
    assert (code, counted["dry_run"]) == (0, True)
    assert counted["executions"] >= 3
    refused = run()
    assert refused[0] == 2
    assert "--before 180d" in refused[1]
    assert f"of {counted['executions']} executions" in run("--before", "180d")[1]
    assert "of 0 executions" in run("--before", "180d")[1]
