from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from config.schema.executor import Executors, ExecutorSettings, settings_hash
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.startup.checks import check_start
from pipeline.startup.live_limits import accept
from pipeline.startup.settings_drift import compare
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import Rows


@pytest.fixture
def beating(database_url: str, rows: Rows) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def runs(
    stack: ExitStack, database_url: str, rows: Rows, kind: str, name: str, executors: dict[str, ExecutorSettings]
) -> None:
    """Record heartbeats of a process that runs with *executors*."""
    heartbeat = Heartbeat(database_url, kind=kind, name=name, executors=executors)
    stack.callback(heartbeat.close)
    until(lambda: rows("SELECT * FROM heartbeat WHERE kind = %s", [kind]))


def edited(executors: Executors, **limits: object) -> dict[str, ExecutorSettings]:
    argo = executors["argo"]
    changed = argo.model_copy(update={"limits": argo.limits.model_copy(update=limits)})
    return {"argo": changed, "prop_firm": executors["prop_firm"]}


def test_processes_that_run_with_the_file_are_equal_to_it(
    record: Record, executors: Executors, beating: ExitStack, database_url: str, rows: Rows
) -> None:
    runs(beating, database_url, rows, "keeper", "keeper", dict(executors))

    found = compare(record, executors)

    assert [compared.equal for compared in found.values()] == [True, True]
    assert [str(one).split(" (")[0] for one in found["argo"].processes] == ["keeper keeper"]


def test_a_process_that_was_started_before_the_edit_is_named_with_what_changed(
    record: Record, executors: Executors, beating: ExitStack, database_url: str, rows: Rows
) -> None:
    check_start(record, executors, by="test")
    runs(beating, database_url, rows, "worker", "argo", {"argo": executors["argo"]})
    runs(beating, database_url, rows, "keeper", "keeper", edited(executors, orders_per_day=7))

    argo = compare(record, edited(executors, orders_per_day=7))["argo"]

    assert not argo.equal
    assert [(one.process.kind, one.current) for one in argo.processes] == [("keeper", True), ("worker", False)]
    (stale,) = argo.stale
    assert [str(change) for change in stale.changes or ()] == ["limits.orders_per_day: - -> 7"]
    assert stale.settings_hash == settings_hash(executors["argo"])


def test_a_process_of_an_executor_that_is_not_in_the_file_is_named(
    record: Record, executors: Executors, beating: ExitStack, database_url: str, rows: Rows
) -> None:
    runs(beating, database_url, rows, "worker", "argo", {"argo": executors["argo"]})

    found = compare(record, {"prop_firm": executors["prop_firm"]})

    assert found["prop_firm"].equal
    assert (found["argo"].file_hash, len(found["argo"].stale)) == (None, 1)


def test_differences_from_the_last_acceptance_are_returned(record: Record, executors: Executors) -> None:
    live = executors["argo"].model_copy(update={"mode": "live", "account": "123"})
    accept(record, live, sentence="I accept real orders on account 123", by="ann")
    edit = live.model_copy(update={"limits": live.limits.model_copy(update={"orders_per_day": 7})})

    argo = compare(record, {"argo": edit})["argo"]

    assert [str(change) for change in argo.accepted or ()] == ["limits.orders_per_day: - -> 7"]
    assert not argo.equal
