"""No statement of a decision reads intents that were never sent, so these do not slow decisions down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.intake.intake import Intake
from pipeline.store.query import execute
from pipeline.store.record import Record
from pipeline.store.statements import sql
from tests.factories import signal
from tests.integration.execution_states import Rows

UNSENT = 3000
STATEMENTS = [
    ("orders", "under_way"),
    ("orders", "reserved"),
    ("pre_trade_check", "book"),
    ("pre_trade_check", "repeat"),
    ("pre_trade_check", "entries_since"),
    ("pre_trade_check", "newest_answers"),
    ("pre_trade_check", "newest_try"),
    ("exit_follow_up", "ended"),
    ("exit_follow_up", "resting"),
    ("equity_monitor", "account_reading"),
]


# The replica role inserts these rows without triggers.
MADE = f"""
SET session_replication_role = replica;
INSERT INTO signal (signal_id, source, content_hash, symbol, asset_class, action, intent)
SELECT md5('s' || n)::uuid, 'test', '', 'AAPL', 'us_equity', 'BUY', 'auto'
FROM generate_series(1, {UNSENT}) AS n;
INSERT INTO execution (execution_id, signal_id, executor_id, mode, symbol, action, state, moved_by, due_at, reason_code)
SELECT md5('e' || n)::uuid, md5('s' || n)::uuid, 'argo', 'exchange', 'AAPL', 'BUY', 'held', 'test', now(), 'broker_away'
FROM generate_series(1, {UNSENT}) AS n;
INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side,
    quantity, reference_price, request, first_sent_at, last_sent_at, follow_up)
SELECT md5('e' || n)::uuid, 1, 'argo', 'PA1', 'tw-' || n || '-1',
    CASE WHEN n % 2 = 0 THEN 'entry' ELSE 'exit' END::order_role, 'AAPL', 'buy', 1, 100, '{{}}', now(), now(), n % 2 = 1
FROM generate_series(1, {UNSENT}) AS n;
RESET session_replication_role;
"""


@pytest.fixture
def unsent(record: Record, rows: Rows, intake: Intake, database_url: str) -> UUID:
    """Record thousands of unsent entries and exits of one symbol, and return the id of a further execution."""
    (execution, *_) = intake.record(signal(), source="test").executions
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MADE.encode())
    ids = [row["execution_id"] for row in rows("SELECT execution_id FROM broker_order")]

    def end(connection: Connection[DictRow]) -> None:
        for execution_id in ids:
            key = {"execution_id": execution_id, "generation": 1, "sole": True}
            execute(connection, sql("orders", "never_sent"), key)

    record.run(end)
    rows("VACUUM ANALYZE broker_order")
    return execution.execution_id


def orders_read(node: dict[str, Any]) -> float:
    """Return how many rows of orders a plan reads, including those that a filter drops."""
    own = 0.0
    if node.get("Relation Name") == "broker_order":
        dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        own = (node["Actual Rows"] + dropped) * node["Actual Loops"]
    return own + sum(orders_read(child) for child in node.get("Plans", []))


@pytest.mark.parametrize(("room", "name"), STATEMENTS)
def test_a_decision_reads_no_intent_that_was_never_sent(record: Record, unsent: UUID, room: str, name: str) -> None:
    values = {
        "executor_id": "argo",
        "account_number": "PA1",
        "execution_id": unsent,
        "symbol": "AAPL",
        "side": "buy",
        "strategy": "",
        "by_content": False,
        "reverses": False,
        "content_hash": "",
        "window": timedelta(hours=1),
        "since": datetime.now(UTC) - timedelta(hours=1),
        "taken_at": datetime.now(UTC) - timedelta(seconds=1),
        "at_most": timedelta(seconds=30),
        "open": True,
        "limit": 5,
    }
    explained = b"EXPLAIN (ANALYZE, FORMAT JSON) " + sql(room, name).encode()  # type: ignore[arg-type]

    (plan,) = record.run(lambda connection: connection.execute(explained, values).fetchall())

    assert orders_read(plan["QUERY PLAN"][0]["Plan"]) == 0
