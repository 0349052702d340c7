"""Pages and counts stay cheap in a record of a hundred thousand executions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from pipeline.intake.intake import Intake
from pipeline.model.signals import Action
from pipeline.model.states import State
from pipeline.store.record import Record
from pipeline.store.statements import sql
from tests.integration.execution_states import Rows
from tests.integration.store.test_statements import long_past, scans

__all__ = ["long_past"]

# A list of a hundred rows may read this many pages; the executions alone take up thousands.
PAGES = 1200

NOTHING: dict[str, Any] = dict.fromkeys(
    ["symbol", "action", "source", "executor_id", "since", "before", "before_id", "signal_id", "state", "code"]
) | {"limit": 101}
YESTERDAY = datetime.now(UTC) - timedelta(hours=12)

ASKED = [
    ("signals", {}),
    ("signals", {"symbol": "S7"}),
    ("signals", {"symbol": "NONE"}),
    ("signals", {"source": "nobody"}),
    ("signals", {"source": "past", "action": Action.BUY}),
    ("signals", {"executor_id": "argo", "since": YESTERDAY}),
    ("signals", {"before": YESTERDAY, "before_id": UUID(int=0)}),
    ("executions", {}),
    ("executions", {"state": State.REJECTED}),
    ("executions", {"state": State.FILLED}),
    ("executions", {"state": State.DEAD}),
    ("executions", {"state": State.QUEUED}),
    ("executions", {"executor_id": "argo", "since": YESTERDAY}),
    ("executions", {"signal_id": uuid4()}),
    ("executions", {"before": YESTERDAY, "before_id": 0}),
    ("open_work", {}),
    ("open_dead_letters", {}),
    ("open_signals", {"since": YESTERDAY}),
]


def cost(record: Record, name: str, values: dict[str, Any]) -> tuple[int, list[str]]:
    """Return how many pages a statement reads, and which large tables it reads completely."""

    def unit(connection: Connection[DictRow]) -> dict[str, Any]:
        statement = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql("lists", name).encode()
        plan = connection.execute(statement, values, prepare=False).fetchone()
        assert plan is not None
        node: dict[str, Any] = plan["QUERY PLAN"][0]["Plan"]
        return node

    node = record.run(unit)
    return node["Shared Hit Blocks"] + node["Shared Read Blocks"], scans(node)


@pytest.mark.usefixtures("long_past", "intake")
def test_no_page_reads_the_whole_past(record: Record) -> None:
    costs = {f"{name} {values}": cost(record, name, NOTHING | values) for name, values in ASKED * 2}

    assert {name: each for name, each in costs.items() if each[0] > PAGES or each[1]} == {}


def test_the_past_is_long_enough_to_tell(rows: Rows, long_past: dict[str, Any], intake: Intake) -> None:
    assert rows("SELECT relpages FROM pg_class WHERE relname = 'execution'")[0]["relpages"] > PAGES
    assert intake is not None
    assert long_past["executor_ids"] == ["argo", "prop_firm"]
