"""Build executors, signals, and the parts of the core with real servers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from config.executors import load_executors
from config.schema.executor import Executors
from config.schema.settings import Settings
from pipeline.intake.intake import Intake
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.dispatcher import Dispatcher
from pipeline.queues.queue import ExecutionQueue
from pipeline.queues.redis_server import connect
from pipeline.store.record import Record
from pipeline.store.rows import ExecutionRow
from tests import waiting
from tests.exchange_fixtures import ExchangeProcess
from workers.account.address import account_address
from workers.account.runtime import open_runtimes
from workers.exchange.accounts import ExchangeAccount
from workers.execution.lease import LeaseKeeper
from workers.execution.runner import ExecutionRunner, runner_of
from workers.keeper.dispatch import Redispatcher
from workers.keeper.order_lookup import OrderLookup
from workers.keeper.order_polling import OrderPolling

#: The seconds after which a test stops waiting.
WAIT_S = 15.0

_EXECUTOR = """
[executors.{id}]
broker = "alpaca"
mode = "exchange"
{top}
[executors.{id}.route]
minimum_confidence = {minimum_confidence}
[executors.{id}.size]
method = "quantity"
value = {quantity}
[executors.{id}.order]
{order}
[executors.{id}.limits]
open_positions = "off"
gross_exposure_percent = "off"
daily_loss_percent = "off"
drawdown_percent = "off"
stop_distance_percent = "off"
buying_power_percent = "off"
entry_age_s = {entry_age_s}
price_drift_percent = "off"
requests_per_minute = "off"
repeat_window_s = "off"
pyramiding = "off"
[executors.{id}.retry]
attempts = {attempts}
broker_timeout_s = {broker_timeout_s}
unknown_s = {unknown_s}
[executors.{id}.hours]
closed = "extended"
"""


def executor_toml(executor_id: str = "argo", **changes: Any) -> str:
    """Return the table of an executor with short time limits and without trading limits."""
    values: dict[str, Any] = {
        "minimum_confidence": 75,
        "quantity": 1,
        "entry_age_s": 3600,
        "attempts": 5,
        "broker_timeout_s": 1,
        "unknown_s": 3,
        "order": "",
        "top": "",
    }
    return _EXECUTOR.format(id=executor_id, **values | changes)


def signal(symbol: str = "AAPL", action: str = "BUY", **changes: Any) -> dict[str, Any]:
    """Return a signal as a sender would write it."""
    return {"symbol": symbol, "action": action, "confidence": 98, "entry_price": 100} | changes


def until(read: Callable[[], Any], *, within_s: float = WAIT_S) -> Any:
    """Wait for a true result of *read* and return it; the limit grows on a slow machine."""
    return waiting.until(read, within_s)


class Core:
    """The intake, workers and keeper in this process, connected to a real PostgreSQL, Valkey and paper exchange."""

    def __init__(
        self, *, database_url: str, redis_url: str, exchange: ExchangeProcess, folder: Path, executors: str
    ) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self.exchange = exchange
        self.executors_path = folder / "executors.toml"
        self.executors_path.write_text(executors)
        self.settings = Settings(executors=self.executors_path, exchange_url=exchange.url, home=folder)
        self.executors: Executors = load_executors(self.executors_path, settings=self.settings)
        self.record = Record(database_url, connections=16, retry_for_s=5.0)
        self.leases = LeaseKeeper(database_url)
        self.runtimes = open_runtimes(
            self.executors, settings=self.settings, exchange_url=exchange.url, record=self.record
        )
        self.queues = ExecutionQueue(connect(redis_url))
        self.dispatcher = Dispatcher(self.queues)
        self.intake = Intake(self.record, self.executors, by="test")
        self.dead_letters = DeadLetters(self.record)
        self.pool = ThreadPoolExecutor(4)
        ids = tuple(self.executors)
        self.sweep = Redispatcher(record=self.record, queues=self.queues, executor_ids=ids, who="test keeper")
        self.unknowns = OrderLookup(record=self.record, runtimes=self.runtimes, pool=self.pool, who="test keeper")
        self._recipes: dict[str, ExecutionRunner] = {}
        for executor_id in self.executors:
            self.reconciled(executor_id)

    def reconciled(self, executor_id: str) -> None:
        """Record that the account was compared with the record a moment ago, as the keeper does at its start."""
        executor = self.executors[executor_id]
        address = account_address(executor, settings=self.settings, exchange_url=self.exchange.url)
        number = ExchangeAccount(key=address.api_key, secret_hash="", created_ns=0).number
        self.rows(
            "INSERT INTO reconciliation (account_number, executor_id, read_at, completed_at) "
            "VALUES (%s, %s, clock_timestamp(), clock_timestamp() + interval '1 hour') "
            "ON CONFLICT (account_number) DO UPDATE SET completed_at = excluded.completed_at",
            [number, executor_id],
        )

    def close(self) -> None:
        self.pool.shutdown()
        self.leases.close()
        for runtime in self.runtimes.values():
            runtime.close()
        self.queues.connection.close()
        self.record.close()

    def send(
        self,
        symbol: str = "AAPL",
        action: str = "BUY",
        *,
        executor: str = "argo",
        by_person: bool = False,
        **changes: Any,
    ) -> UUID:
        """Record a signal without enqueueing a job, and return the id of its execution at *executor*."""
        raw = signal(symbol, action, **changes)
        return self.record_signal(raw, executor=executor, by_person=by_person).execution_id

    def record_signal(self, raw: dict[str, Any], *, executor: str = "argo", by_person: bool = False) -> ExecutionRow:
        recorded = self.intake.record(raw, source="test", by_person=by_person)
        return next(row for row in recorded.executions if row.executor_id == executor)

    def recipe(self, executor: str = "argo", *, worker: str = "test worker") -> ExecutionRunner:
        """Return the execution runner of *worker*; each worker name has one runner, as a worker process has."""
        if worker not in self._recipes:
            self._recipes[worker] = runner_of(
                self.runtimes[executor], record=self.record, leases=self.leases, worker=worker
            )
        return self._recipes[worker]

    def run(self, execution_id: UUID, executor: str = "argo") -> dict[str, Any]:
        """Run the execution in this process, and return its columns."""
        self.recipe(executor, worker=f"worker of {executor}").run(execution_id)
        return self.execution(execution_id)

    def follower(self, executor: str = "argo") -> OrderPolling:
        return OrderPolling(record=self.record, runtime=self.runtimes[executor], who="test keeper")

    def execution(self, execution_id: UUID) -> dict[str, Any]:
        """Return the columns of an execution and of its newest order."""
        return self.rows(
            "SELECT o.*, e.* FROM execution e LEFT JOIN broker_order o ON o.execution_id = e.execution_id "
            "AND o.generation = e.generation WHERE e.execution_id = %s",
            [execution_id],
        )[0]

    def state(self, execution_id: UUID) -> str:
        return str(self.execution(execution_id)["state"])

    def moves(self, execution_id: UUID) -> list[str]:
        """Return the states that the execution went through."""
        rows = self.rows("SELECT to_state FROM history WHERE execution_id = %s ORDER BY history_id", [execution_id])
        return [row["to_state"] for row in rows]

    def rows(self, statement: str, values: Any = None) -> list[dict[str, Any]]:
        """Run a statement on a separate connection, without the code under test."""
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            cursor = connection.execute(statement.encode(), values)
            # A SELECT without columns returns rows that cannot be fetched, so it would look as if it found nothing.
            assert cursor.description or not statement.lstrip().upper().startswith("SELECT")
            return cursor.fetchall() if cursor.description else []

    def due_now(self, execution_id: UUID) -> None:
        """Make the execution due now, and end the account's pause after a 429."""
        self.rows("UPDATE request_budget SET closed_until = clock_timestamp() WHERE closed_until IS NOT NULL")
        self.rows(
            "UPDATE execution SET due_at = clock_timestamp() WHERE execution_id = %s AND due_at IS NOT NULL",
            [execution_id],
        )

    def orders(self, executor: str = "argo") -> list[dict[str, Any]]:
        """Return the orders of *executor* at the exchange."""
        return self.exchange.orders(executor)

    def filled_at_exchange(self, count: int = 1, executor: str = "argo") -> None:
        """Wait until the exchange has filled *count* orders."""
        until(lambda: [order["status"] for order in self.orders(executor)].count("filled") >= count)

    def faults(self, *faults: dict[str, Any]) -> None:
        self.exchange.admin("faults", {"faults": list(faults)})

    def prices(self, **prices: Any) -> None:
        self.exchange.admin("prices", {symbol: str(price) for symbol, price in prices.items()})


@contextmanager
def a_core(
    *, database_url: str, redis_url: str, exchange: ExchangeProcess, folder: Path, executors: str | None = None
) -> Iterator[Core]:
    """Build a core, and close it after the block."""
    core = Core(
        database_url=database_url,
        redis_url=redis_url,
        exchange=exchange,
        folder=folder,
        executors=executor_toml() if executors is None else executors,
    )
    try:
        yield core
    finally:
        core.close()


def json_line(raw: dict[str, Any]) -> str:
    """Return a signal as one line for standard input."""
    return json.dumps(raw) + "\n"
