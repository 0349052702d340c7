from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from pipeline.intake.intake import Intake
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.statements import names, sql
from tests.factories import signal
from tests.integration.execution_states import Rows

ROOMS = sorted(path.stem for path in (Path(__file__).parents[3] / "pipeline/sql").glob("*.sql"))
SECOND = timedelta(seconds=1)
PAST = 100_000
# A statement about open work may read this many pages; all past executions take up thousands.
PAGES = 150

#: The types of parameters whose type PostgreSQL cannot infer from the statement.
TYPES = {"within": "interval", "took_ms": "float8", "taken_at": "timestamptz"}

HISTORY = """
SET session_replication_role = replica;
INSERT INTO signal (signal_id, source, source_id, content_hash, symbol, asset_class, action, intent, confidence,
    entry_price, recorded_at)
SELECT md5('s' || n)::uuid, 'past', n::text, '', 'S' || n % 200, 'us_equity', 'BUY', 'auto', 98, 100,
    now() - interval '1 day' + n * interval '0.8 seconds'
FROM generate_series(1, {past} / 2) AS n;
INSERT INTO execution (execution_id, signal_id, executor_id, mode, symbol, action, state, moved_by, created_at,
    decided_at, ended_at, enqueues)
SELECT md5('e' || n || who)::uuid, md5('s' || n)::uuid, who, 'exchange', 'S' || n % 200, 'BUY', 'filled', 'past', at,
    at, at, 1
FROM generate_series(1, {past} / 2) AS n, unnest(ARRAY['argo', 'prop_firm']) AS who,
    LATERAL (SELECT now() - interval '1 day' + n * interval '0.8 seconds' AS at) AS moment;
INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side,
    quantity, reference_price, request, intended_at, order_id, order_status, filled_quantity, accepted_at, ended_at,
    polled_at)
SELECT execution_id, 1, executor_id, 'PA1', 'tw-' || execution_id || '-1', 'entry', symbol, 'buy', 1, 100, '{{}}',
    created_at, 'o-' || execution_id, 'filled', 1, created_at, created_at, created_at
FROM execution;
INSERT INTO fill (account_number, fill_id, execution_id, generation, executor_id, symbol, side, quantity, price,
    filled_at, source, recorded_at)
SELECT account_number, order_id, execution_id, generation, executor_id, symbol, side, 1, 100, intended_at,
    CASE executor_id WHEN 'argo' THEN 'activity' ELSE 'order' END, intended_at - interval '1 day'
FROM broker_order;
INSERT INTO history (execution_id, at, to_state, fence, moved_by)
SELECT execution_id, created_at, 'filled', 0, 'past' FROM execution;
RESET session_replication_role;
ANALYZE;
"""


def numbered(statement: str) -> tuple[str, list[str]]:
    """Return *statement* with `$1`, `$2`… in place of its parameters, as PREPARE needs it, and their names."""
    order: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in order:
            order.append(found[1])
        return f"${order.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, statement), order


def test_every_statement_fits_the_schema(database_url: str) -> None:
    unfit = {}
    for room in ROOMS:
        for name in names(room):
            statement, order = numbered(sql(room, name))
            types = f"({', '.join(TYPES.get(parameter, 'unknown') for parameter in order)})" if order else ""
            with psycopg.connect(database_url) as connection:
                try:
                    connection.execute(f"PREPARE it {types} AS {statement}".encode())
                except psycopg.Error as error:
                    unfit[f"{room}.{name}"] = str(error)
    assert unfit == {}


@pytest.fixture
def long_past(rows: Rows, database_url: str, intake: Intake) -> dict[str, Any]:
    """Record a hundred thousand ended executions and a few open ones; return the values for the statements of `HOT`."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(HISTORY.format(past=PAST).encode())
    ids = [execution.execution_id for _ in range(5) for execution in intake.record(signal(), source="test").executions]
    rows("UPDATE execution SET due_at = now() WHERE state = 'queued'")
    first = rows("SELECT * FROM execution WHERE execution_id = %s", [ids[0]])[0]
    return first | {
        "execution_ids": ids,
        "signal_ids": [first["signal_id"]],
        "id": ids[0],
        "client_order_ids": [f"tw-{ids[0]}-1"],
        "client_order_id": f"tw-{ids[0]}-1",
        "order_id": "o-1",
        "account_number": "PA1",
        "fill_id": "f-1",
        "known_until": datetime.now(UTC),
        "within": timedelta(days=1),
        "settled_before": datetime.now(UTC) - 5 * SECOND,
        "listed": ["o-1"],
        "counts_for": 300 * SECOND,
        "worker": "test",
        "by": "test",
        "why": "test",
        "token": uuid4(),
        "settings_hash": "c0ffee",
        "lease": 3 * SECOND,
        "claim": SECOND,
        "due_in": None,
        "executor_ids": ["argo", "prop_firm"],
        "limit": 200,
        "taken_at": datetime.now(UTC),
        "since": datetime.now(UTC) - 5 * SECOND,
        "seen": [f"tw-{ids[0]}-1"],
        "young": 60 * SECOND,
        "state": State.ACCEPTED,
        "reason_code": None,
        "reason_facts": Jsonb({}),
        "attempts": 1,
        "number": None,
        "source": "past",
        "source_id": "77",
        "after": PAST - 1,
    }


HOT = [
    ("executions", "claim"),
    ("executions", "wait_for_symbol"),
    ("executions", "next_of_symbol"),
    ("executions", "renew"),
    ("executions", "settle"),
    ("executions", "follow"),
    ("executions", "of_signal"),
    ("signals", "same"),
    ("orders", "under_way"),
    ("orders", "reserved"),
    ("keeper", "candidates"),
    ("keeper", "mark_due"),
    ("keeper", "end_expired_leases"),
    ("keeper", "claim_unknown"),
    ("keeper", "known_orders"),
    ("keeper", "open_orders"),
    ("keeper", "claim_unlisted"),
    ("keeper", "record_polled"),
    ("keeper", "active_executors"),
    ("keeper", "free_symbol"),
    ("reconcile", "claim_unconfirmed"),
    ("reconcile", "recorded_orders"),
    ("reconcile", "recorded_positions"),
    ("reconcile", "release"),
    ("reconcile", "gate"),
    ("keeper", "return_to_older"),
    ("fills", "unconfirmed"),
    ("fills", "lock_order"),
    ("fills", "of_order"),
    ("dead_letters", "open"),
    ("dead_letters", "requeue"),
    ("history", "signal_of"),
    ("history", "history"),
    ("history", "changes_after"),
    ("history", "last_change"),
]


def test_open_work_stays_cheap_beside_a_long_past(record: Record, long_past: dict[str, Any]) -> None:
    costs: dict[str, Any] = {}

    def unit(connection: Connection[DictRow]) -> None:
        # The second run counts, because the first one also reads the catalog.
        for room, name in HOT * 2:
            with connection.transaction(force_rollback=True):
                plan = connection.execute(
                    b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql(room, name).encode(), long_past
                ).fetchone()
            assert plan is not None
            node = plan["QUERY PLAN"][0]["Plan"]
            pages = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
            costs[f"{room}.{name}"] = (pages, scans(node))

    record.run(unit)
    assert {name: cost for name, cost in costs.items() if cost[0] > PAGES or cost[1]} == {}


def scans(node: dict[str, Any]) -> list[str]:
    """Return the large tables that the plan reads completely."""
    own = [node["Relation Name"]] if node["Node Type"] == "Seq Scan" else []
    large = [name for name in own if name in {"signal", "execution", "broker_order", "history", "fill"}]
    return large + [name for child in node.get("Plans", []) for name in scans(child)]


def test_the_past_is_as_long_as_it_is_said_to_be(rows: Rows, long_past: dict[str, Any]) -> None:
    assert rows("SELECT count(*) AS n FROM execution")[0]["n"] == PAST + 10
    assert rows("SELECT relpages FROM pg_class WHERE relname = 'execution'")[0]["relpages"] > 10 * PAGES
    assert isinstance(long_past["execution_id"], UUID)
