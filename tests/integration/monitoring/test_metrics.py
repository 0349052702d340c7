"""`/metrics` counts each recorded state change once, whichever process counts and whenever it started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from config.schema.executor import Executors
from pipeline.accounts.switches import turn_on
from pipeline.entrypoints.web.app import make_app
from pipeline.model.errors import QueueUnavailable
from pipeline.model.switches import SwitchKind
from pipeline.monitoring.heartbeats import Heartbeat
from pipeline.monitoring.metrics import tallies
from pipeline.monitoring.metrics.exposition import Exposition
from pipeline.monitoring.metrics.families import FAMILIES, MetricKind
from pipeline.operations.tokens import Scope, make_token
from pipeline.store.record import Record
from tests.factories import until
from tests.integration.execution_states import ExecutionStates, Rows
from tests.web import BEARER, web_context


def parsed(text: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def value(text: bytes, sample: str, labels: Mapping[str, str] | None = None) -> float | None:
    """Return the value of the sample with these *labels*, or None when there is none."""
    found = [
        each.value
        for family in parsed(text).values()
        for each in family.samples
        if each.name == sample and (labels or {}).items() <= each.labels.items()
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
def exposition(record: Record, executors: Executors) -> Exposition:
    return Exposition(record, executors, depth=lambda _: 7)


def settled(exposition: Exposition, moves: int) -> bytes:
    """Wait until *moves* state changes are counted, and return the text."""

    def text() -> bytes | None:
        shown = exposition.text()
        counted = sum(
            each.value
            for each in parsed(shown).get("tradewire_moves", Metric("tradewire_none", "", "counter")).samples
            if each.name == "tradewire_moves_total"
        )
        assert counted <= moves
        return shown if counted == moves else None

    shown: bytes = until(text)
    return shown


def moves_of(rows: Rows) -> int:
    return int(rows("SELECT count(*) AS n FROM history")[0]["n"])


@pytest.fixture
def lived(execution_states: ExecutionStates, rows: Rows) -> int:
    """Make two orders, a dead letter, and the other executor's executions; return the number of state changes."""
    execution_states.reached("filled", order_id="o-1", after_ms=30, filled=5)
    execution_states.reached("accepted", order_id="o-2", after_ms=700)
    execution_states.reached("dead", "attempts_used_up")
    return moves_of(rows)


def test_moves_and_decisions_are_counted_by_executor_mode_state_and_reason(exposition: Exposition, lived: int) -> None:
    text = settled(exposition, lived)

    argo = {"executor": "argo", "mode": "exchange"}
    assert value(text, "tradewire_moves_total", argo | {"state": "queued"}) == 3
    assert value(text, "tradewire_moves_total", argo | {"state": "dead", "reason": "attempts_used_up"}) == 1
    assert value(text, "tradewire_decisions_total", argo | {"outcome": "order"}) == 2
    assert value(text, "tradewire_decisions_total", argo | {"outcome": "no_order"}) == 1
    assert value(text, "tradewire_counted") == 1


def test_the_histogram_says_how_long_an_order_id_took(exposition: Exposition, lived: int) -> None:
    text = settled(exposition, lived)

    step = {"executor": "argo", "mode": "exchange", "step": "recorded_to_order_id"}
    buckets = {le: value(text, "tradewire_step_seconds_bucket", step | {"le": le}) for le in ("0.025", "0.05", "1.0")}
    assert buckets == {"0.025": 0, "0.05": 1, "1.0": 2}
    assert value(text, "tradewire_step_seconds_count", step) == 2
    assert value(text, "tradewire_step_seconds_sum", step) == pytest.approx(0.73)


def test_every_step_of_a_real_execution_is_measured(make_core: Any) -> None:
    core = make_core()
    core.prices(AAPL=100)
    core.run(core.send())
    exposition = Exposition(core.record, core.executors, depth=lambda _: 0)

    text = settled(exposition, len(core.rows("SELECT history_id FROM history")))

    steps = ("recorded_to_taken", "taken_to_sent", "sent_to_answered", "recorded_to_order_id")
    counts = {step: value(text, "tradewire_step_seconds_count", {"step": step}) for step in steps}
    assert counts == dict.fromkeys(steps, 1)
    total = value(text, "tradewire_step_seconds_sum", {"step": "recorded_to_order_id"})
    parts = [value(text, "tradewire_step_seconds_sum", {"step": step}) for step in steps[:3]]
    assert total is not None
    assert sum(part for part in parts if part is not None) == pytest.approx(total, abs=0.05)


def test_the_next_scrape_adds_what_is_new(
    exposition: Exposition, execution_states: ExecutionStates, rows: Rows, lived: int
) -> None:
    settled(exposition, lived)

    execution_states.reached("filled", order_id="o-9", filled=5)

    text = settled(exposition, moves_of(rows))
    assert value(text, "tradewire_decisions_total", {"executor": "argo", "outcome": "order"}) == 3


def test_another_process_that_counts_in_small_batches_comes_to_the_same(
    exposition: Exposition, record: Record, executors: Executors, lived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = settled(exposition, lived)
    monkeypatch.setattr(tallies, "_BATCH", 2)

    other = settled(Exposition(record, executors, depth=lambda _: 0), lived)

    for name in ("tradewire_moves", "tradewire_decisions", "tradewire_step_seconds"):
        assert parsed(other)[name].samples == parsed(one)[name].samples


def test_what_commits_late_is_counted_though_a_later_move_was_seen_before(
    exposition: Exposition, execution_states: ExecutionStates, rows: Rows, database_url: str
) -> None:
    early, late = execution_states.recorded(), execution_states.recorded(symbol="MSFT")
    settled(exposition, 4)
    move = "UPDATE execution SET state = 'skipped', reason_code = 'halted', ended_at = now() WHERE execution_id = %s"
    with psycopg.connect(database_url) as connection:
        connection.execute(move.encode(), [early])
        rows(move, [late])
        rows("SELECT pg_sleep(0.3)")
        text = exposition.text()
        assert value(text, "tradewire_moves_total", {"executor": "argo", "state": "skipped"}) is None
        connection.commit()

    text = settled(exposition, 6)
    assert value(text, "tradewire_moves_total", {"executor": "argo", "state": "skipped"}) == 2


def test_a_record_that_was_put_back_is_counted_anew(exposition: Exposition, rows: Rows, lived: int) -> None:
    settled(exposition, lived)
    rows("DELETE FROM history WHERE history_id > (SELECT min(history_id) + 1 FROM history)")

    until(lambda: value(exposition.text(), "tradewire_counted") == 1)
    moves = [each.value for each in parsed(exposition.text())["tradewire_moves"].samples if "_total" in each.name]
    assert sum(moves) == 2


def test_how_things_stand_is_read_anew(
    exposition: Exposition, record: Record, rows: Rows, lived: int, database_url: str, executors: Executors
) -> None:
    def stop(connection: Any) -> None:
        turn_on(connection, account_key="executor:argo", kind=SwitchKind.HALTED, cause="person", facts={}, by="test")

    record.run(stop)
    rows("INSERT INTO account_refusal (executor_id, probe_at, message) VALUES ('prop_firm', now(), 'no')")
    rows("UPDATE broker_order SET filled_at = '2026-01-01T00:00:00Z' WHERE filled_quantity > 0")
    rows("SELECT * FROM take_requests('PA1', 4, 100, false)")
    rows(
        "INSERT INTO account_snapshot (executor_id, account_number, taken_at, account, positions) "
        "VALUES ('argo', 'PA1', now(), %s::jsonb, '[]')",
        [
            (
                '{"number": "PA1", "currency": "USD", "equity": "1", "last_equity": "1", "cash": "1", '
                '"buying_power": "1", "non_marginable_buying_power": null, "blocked": false, "shorting_enabled": true}'
            )
        ],
    )
    rows(
        "INSERT INTO finding (finding_id, account_number, executor_id, kind, symbol, state, facts) "
        "VALUES (gen_random_uuid(), 'PA1', 'argo', 'foreign_position', 'AAPL', 'open', '{}')"
    )
    with ExitStack() as stack:
        for _ in range(2):
            beat = Heartbeat(database_url, kind="worker", name="argo", executors=executors)
            stack.callback(beat.close)
        until(lambda: rows("SELECT count(*) AS n FROM heartbeat")[0]["n"] == 2)
        text = settled(exposition, lived)

    argo, firm = {"executor": "argo"}, {"executor": "prop_firm"}
    assert value(text, "tradewire_queue_depth", argo) == 7
    assert value(text, "tradewire_dead_letters", argo) == 1
    assert value(text, "tradewire_dead_letters", firm) == 0
    assert value(text, "tradewire_executions_unfinished", argo | {"state": "accepted"}) == 1
    assert value(text, "tradewire_executions_unfinished", firm | {"state": "queued"}) == 3
    assert (value(text, "tradewire_oldest_unfinished_seconds", firm) or 0) > 0
    assert value(text, "tradewire_oldest_unfinished_seconds", argo) == 0
    assert value(text, "tradewire_switch_on", argo | {"kind": "halted", "cause": "person"}) == 1
    assert value(text, "tradewire_account_refused", firm) == 1
    assert value(text, "tradewire_findings", argo) == 1
    assert value(text, "tradewire_findings", firm) == 0
    assert value(text, "tradewire_last_reconcile_timestamp_seconds", argo) is None
    assert value(text, "tradewire_requests_spent", argo) == 4
    assert value(text, "tradewire_processes_alive", {"kind": "worker", "name": "argo"}) == 2
    assert value(text, "tradewire_processes_alive", {"kind": "worker", "name": "prop_firm"}) == 0
    assert value(text, "tradewire_processes_alive", {"kind": "keeper"}) == 0
    assert value(text, "tradewire_last_fill_timestamp_seconds", argo) == 1767225600
    assert value(text, "tradewire_last_fill_timestamp_seconds", firm) is None
    assert (value(text, "tradewire_last_signal_timestamp_seconds", {"source": "test"}) or 0) > 1.7e9


def test_limits_are_shown_for_an_account_that_was_read(make_core: Any) -> None:
    core = make_core(LIMITED)
    core.prices(AAPL=100)
    core.run(core.send())

    text = Exposition(core.record, core.executors, depth=lambda _: 0).text()

    argo = {"executor": "argo"}
    assert value(text, "tradewire_limit_left", argo | {"limit": "open_positions"}) is not None
    assert 0 <= (value(text, "tradewire_limit_used_ratio", argo | {"limit": "daily_loss_percent"}) or 0) < 1
    assert value(text, "tradewire_requests_limit", argo) == 200


def test_what_is_shown_has_the_labels_that_the_list_says(
    make_core: Any, rows: Rows, record: Record, executors: Executors
) -> None:
    core = make_core(LIMITED)
    core.prices(AAPL=100)
    core.run(core.send())
    rows(
        "INSERT INTO switch (switch_id, holder, kind, cause, set_by) VALUES "
        "(gen_random_uuid(), 'executor:argo', 'paused', 'person', 'me')"
    )
    rows("UPDATE broker_order SET filled_at = now()")
    text = settled(Exposition(core.record, core.executors, depth=lambda _: 0), moves_of(rows))

    shown = {
        f"{name}_total" if family.type == "counter" else name: {
            label for each in family.samples for label in each.labels if label != "le"
        }
        for name, family in parsed(text).items()
    }
    assert shown == {name: set(family.labels) for name, family in FAMILIES.items()}
    assert {name for name, family in FAMILIES.items() if family.kind is MetricKind.COUNTER} <= set(shown)


def test_with_redis_away_everything_else_is_shown(record: Record, executors: Executors) -> None:
    def away(_: str) -> int:
        raise QueueUnavailable

    text = Exposition(record, executors, depth=away).text()

    assert value(text, "tradewire_queue_up") == 0
    assert value(text, "tradewire_queue_depth", {"executor": "argo"}) is None
    assert value(text, "tradewire_record_up") == 1


def test_with_postgresql_away_the_scrape_says_so() -> None:
    with Record("postgresql://127.0.0.1:1/nowhere", retry_for_s=0.0) as record:
        text = Exposition(record, {}, depth=lambda _: 0).text()

    assert set(parsed(text)) == {"tradewire_record_up", "tradewire_queue_up"}
    assert value(text, "tradewire_record_up") == 0


@pytest.fixture
def client(record: Record, redis_url: str) -> Iterator[TestClient]:
    with TestClient(make_app(web_context(record, redis_url))) as made:
        yield made


def test_a_scraper_needs_the_scope_read(client: TestClient, record: Record) -> None:
    scrape = make_token(record, "prometheus", [Scope.READ], by="test")
    sender = make_token(record, "strategy", [Scope.SIGNAL], by="test")

    def status(token: str) -> int:
        return client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code

    assert client.get("/metrics").status_code == 401
    assert (status(sender), status(scrape)) == (403, 200)
    answer = client.get("/metrics", headers=BEARER)
    assert answer.headers["content-type"].startswith("text/plain")
    assert value(answer.content, "tradewire_record_up") == 1
    assert value(answer.content, "tradewire_queue_depth", {"executor": "argo"}) == 0


LIMITED = """
[executors.argo]
broker = "alpaca"
mode = "exchange"
[executors.argo.route]
minimum_confidence = 75
[executors.argo.size]
method = "quantity"
value = 1
[executors.argo.limits]
open_positions = 10
daily_loss_percent = 5
requests_per_minute = 200
[executors.argo.hours]
closed = "extended"
"""
