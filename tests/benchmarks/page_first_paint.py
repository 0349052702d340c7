"""Print how long the server takes for the page with 100,000 executions in the record.

Run it from the repository's root: `.venv/bin/python -m tests.benchmarks.page_first_paint`. It starts a PostgreSQL and a
Valkey of its own and removes them at the end.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

from pipeline.entrypoints.web.page.figures import BOUNDS, WINDOWS
from pipeline.store.migrate import migrate
from pipeline.store.record import Record
from pipeline.store.statements import sql
from tests.embedded_server import EmbeddedServer
from tests.web import TOKEN, serving, web_context

PATHS = ("/", "/parts/signals", "/parts/executors", "/parts/charts", "/parts/letters", "/parts/processes")
#: Requests share the charts for a few seconds; after this pause a request computes them anew.
_UNSHARED_S = 4.2
_PAST = """
SET session_replication_role = replica;
INSERT INTO signal (signal_id, source, source_id, content_hash, symbol, asset_class, action, intent, confidence,
    entry_price, strategy, recorded_at)
SELECT md5('s' || n)::uuid, 'past', n::text, '', 'S' || n % 200, 'us_equity', 'BUY', 'auto', 98, 100, 'consensus',
    now() - interval '23 hours' + n * interval '23 hours' / ({past} / 2)
FROM generate_series(1, {past} / 2) AS n;
INSERT INTO execution (execution_id, signal_id, executor_id, mode, symbol, action, state, reason_code, reason_facts,
    moved_by, created_at, decided_at, ended_at, enqueues)
SELECT md5('e' || signal_id || who)::uuid, signal_id, who, 'exchange', symbol, action,
    CASE WHEN chance < 0.6 THEN 'filled' WHEN chance < 0.97 THEN 'skipped' ELSE 'rejected' END::execution_state,
    CASE WHEN chance < 0.6 THEN NULL ELSE (ARRAY['no_position', 'repeated_idea', 'confidence_below_minimum', 'halted',
        'pyramiding_limit', 'price_drift', 'stale', 'open_positions_limit'])[1 + floor(random() * 8)::int] END,
    '{{"minimum": 75, "was": 73.2}}', 'past', recorded_at, recorded_at, recorded_at, 1
FROM signal, unnest(ARRAY['argo', 'prop_firm']) AS who, LATERAL (SELECT random() + 0 * length(who) AS chance) AS dice;
INSERT INTO broker_order (execution_id, generation, executor_id, account_number, client_order_id, role, symbol, side,
    quantity, reference_price, request, intended_at, order_id, order_status, filled_quantity, accepted_at, ended_at)
SELECT execution_id, 1, executor_id, 'PA1', 'tw-' || execution_id || '-1', 'entry', symbol, 'buy', 1, 100, '{{}}',
    created_at, 'o-' || execution_id, 'filled', 1, created_at + random() * interval '80 milliseconds', created_at
FROM execution WHERE state = 'filled';
INSERT INTO history (execution_id, at, to_state, fence, moved_by)
SELECT execution_id, created_at, state, 0, 'past' FROM execution;
RESET session_replication_role;
ANALYZE;
"""


def main(arguments: list[str] | None = None) -> int:
    """Fill a record, request the page several times, and print the milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=10)
    parser.add_argument("--explain", action="store_true", help="Print the plan of the largest statement.")
    asked = parser.parse_args(arguments)
    logging.disable()
    home = Path(tempfile.mkdtemp(prefix="tradewire-"))
    try:
        with EmbeddedServer.postgres(home / "postgres") as postgres, EmbeddedServer.valkey(home / "valkey") as valkey:
            migrate(postgres.url)
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute(_PAST.format(past=asked.executions).encode())
                if asked.explain:
                    _explain(connection)
            with Record(postgres.url) as record, serving(web_context(record, valkey.url)) as client:
                _log_in(client)
                sys.stdout.write(f"{asked.executions:,} executions, {asked.requests} requests each; milliseconds\n")
                _measure(client, "/", 1, pause_s=0)
                for path in PATHS:
                    _measure(client, path, asked.requests, pause_s=_UNSHARED_S if path in ("/", "/parts/charts") else 0)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _log_in(client: httpx.Client) -> None:
    found = re.search(r'name="csrf" value="(\w+)"', client.get("/login").text)
    assert found
    client.post("/login", data={"token": TOKEN, "csrf": found[1]})


def _measure(client: httpx.Client, path: str, requests: int, *, pause_s: float) -> None:
    """Print the median and the longest time of *requests* requests, and the size of the answer."""
    took = []
    for _ in range(requests):
        time.sleep(pause_s)
        began = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
    size = len(answer.content) / 1024
    sys.stdout.write(f"{path:20} median {statistics.median(took):6.1f}  worst {max(took):6.1f}  {size:5.0f} KiB\n")


def _explain(connection: psycopg.Connection) -> None:
    window = WINDOWS["24h"]
    since = connection.execute("SELECT now() - %s::interval", [window.back]).fetchone()
    assert since is not None
    key = {"since": since[0], "slot": window.slot, "bounds": [float(bound) for bound in BOUNDS]}
    for row in connection.execute("EXPLAIN (ANALYZE, BUFFERS) " + sql("page", "outcomes"), key):
        sys.stdout.write(f"{row[0]}\n")


if __name__ == "__main__":
    sys.exit(main())
