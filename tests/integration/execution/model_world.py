"""The system under the model test: real code of worker and keeper, a real record, and simulated jobs and time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import dict_row

from config.executors import load_executors
from config.schema.settings import Settings
from pipeline.intake.intake import Intake
from pipeline.model.errors import QueueUnavailable
from pipeline.model.outages import Need, Outage
from pipeline.operations.dead_letters import DeadLetters
from pipeline.queues.dispatcher import Dispatcher
from pipeline.queues.jobs import QueueJob
from pipeline.store.record import USUAL, Record, RetryFor, T, Unit
from tests.factories import executor_toml, signal
from tests.integration.execution.model_broker import LONGEST_WAY_S, ModelBroker
from tests.integration.execution.model_stage import Actor, ModelClock
from workers.account.assets import AssetCache
from workers.account.calendar import Calendar
from workers.account.open_orders import SharedOpenOrders
from workers.account.runtime import ExecutorRuntime
from workers.account.snapshots import Snapshots
from workers.brokers.guarded import GuardedBroker
from workers.brokers.rate_budget import RateBudget
from workers.brokers.request_guard import RequestGuard
from workers.execution.lease import LeaseKeeper
from workers.execution.runner import ExecutionRunner, runner_of
from workers.keeper.dispatch import Redispatcher
from workers.keeper.order_lookup import OrderLookup
from workers.keeper.order_polling import OrderPolling

EXECUTOR = "argo"
#: The positions of the account at the start.
HELD = {"AAPL": Decimal(4), "MSFT": Decimal(2)}

# The time columns, by table, that a jump of the model's clock moves back.
_TIMES = {
    "signal": ("recorded_at", "generated_at", "expires_at"),
    "execution": ("lease_until", "due_at", "unknown_since", "absent_since", "created_at", "decided_at", "ended_at"),
    "broker_order": (
        "intended_at", "first_sent_at", "last_sent_at", "accepted_at", "ended_at", "cancel_asked_at", "polled_at",
        "asked_at", "filled_at",
    ),
    "account_snapshot": ("taken_at",),
    "holding": ("opened_at", "changed_at"),
    "account_refusal": ("since", "probe_at"),
    "entries_refusal": ("since", "probe_at"),
    "dead_letter": ("opened_at", "closed_at"),
}  # fmt: skip
_TABLES = (
    "history", "attempt", "dead_letter", "fill", "fill_change", "holding_closed", "broker_order", "execution", "signal",
    "account_snapshot", "holding", "switch", "switch_history", "account_watch", "account_day", "market_day", "asset",
    "request_budget",
)  # fmt: skip
_FOLLOW_EVERY_S = 2.0


class ForgetfulRecord(Record):
    """Acts as if the answers to the next `losing` COMMITs were lost: these units of work run a second time."""

    losing = 0

    def run(self, unit: Unit[T], *, retry_for_s: RetryFor = USUAL) -> T:
        value = super().run(unit, retry_for_s=retry_for_s)
        if self.losing:
            self.losing -= 1
            value = super().run(unit, retry_for_s=retry_for_s)
        return value


class ModelQueue:
    """The queue: it holds jobs until the model delivers them, in any order, twice or never."""

    def __init__(self) -> None:
        self.jobs: list[QueueJob] = []
        self.delivered: list[QueueJob] = []
        self.away = False

    def enqueue(self, jobs: Sequence[QueueJob]) -> None:
        if self.away:
            raise QueueUnavailable
        self.jobs += jobs

    def waiting(self, _executor_id: str, job_ids: Sequence[str]) -> list[bool]:
        if self.away:
            raise QueueUnavailable
        waiting = {job.job_id for job in self.jobs}
        return [job_id in waiting for job_id in job_ids]


class World:
    """The database of all examples; `begin` empties it and makes the processes of the next example."""

    def __init__(self, database_url: str, folder: Path, clock: ModelClock, *, workers: int = 3) -> None:
        path = folder / "executors.toml"
        path.write_text(executor_toml(EXECUTOR, quantity=2, entry_age_s=240, attempts=3, unknown_s=62))
        settings = Settings(executors=path, exchange_url="http://127.0.0.1:1", home=folder)
        self.executors = load_executors(path, settings=settings)
        self.clock = clock
        self.record = ForgetfulRecord(database_url, connections=4, retry_for_s=5.0)
        self._leases = [LeaseKeeper(database_url) for _ in range(workers)]
        self._connection = psycopg.connect(database_url, autocommit=True, row_factory=dict_row)

    def close(self) -> None:
        for leases in self._leases:
            leases.close()
        self.record.close()
        self._connection.close()

    def begin(self) -> None:
        """Empty the record, and make new processes with a new broker."""
        self.rows("; ".join(f"DELETE FROM {table}" for table in (*_TABLES, "account_refusal", "entries_refusal")))
        self.rows(
            "INSERT INTO reconciliation (account_number, executor_id, read_at, completed_at) "
            f"VALUES ('PA1', '{EXECUTOR}', clock_timestamp(), 'infinity') ON CONFLICT DO NOTHING"
        )
        self.record.losing = 0
        self.broker = ModelBroker(self.clock, held=HELD)
        self.queues = ModelQueue()
        executor = self.executors[EXECUTOR]
        broker = GuardedBroker(self.broker, RequestGuard(outage=Outage(Need.BROKER)))
        runtime = ExecutorRuntime(
            executor=executor,
            broker=broker,
            budget=RateBudget(self.record, executor_id=executor.id, per_minute=None),
            snapshots=Snapshots(self.record, executor, broker),
            assets=AssetCache(self.record, address="model", broker=broker),
            calendar=Calendar(self.record, executor, broker),
            open_orders=SharedOpenOrders(broker),
        )
        # The queue has the two methods that the dispatcher and the keeper call.
        queues: Any = self.queues
        self.dispatcher = Dispatcher(queues)
        self.intake = Intake(self.record, self.executors, by="model")
        self.dead_letters = DeadLetters(self.record)
        self.recipes: list[ExecutionRunner] = [
            runner_of(runtime, record=self.record, leases=leases, worker=f"worker-{number}")
            for number, leases in enumerate(self._leases)
        ]
        pool: Any = SimpleNamespace(map=map)
        self.rounds: dict[str, Callable[[], int]] = {
            "sweep": Redispatcher(record=self.record, queues=queues, executor_ids=(EXECUTOR,), who="keeper").run_once,
            "unknown": OrderLookup(record=self.record, runtimes={EXECUTOR: runtime}, pool=pool, who="keeper").run_once,
            "follow": OrderPolling(record=self.record, runtime=runtime, who="keeper").run_once,
        }

    def send(self, symbol: str, action: tuple[str, int | None], *, enqueue: bool) -> None:
        """Record a signal, and enqueue its jobs unless the producer dies before that."""
        recorded = self.intake.record(signal(symbol, action[0], quantity=action[1]), source="model")
        if enqueue:
            self.dispatcher.enqueue(recorded.executions)

    def job(self, worker: int, execution_id: UUID) -> Actor:
        return Actor(f"worker-{worker}", lambda: self.recipes[worker].run(execution_id))

    def round(self, name: str) -> Actor:
        def task() -> None:
            with passing():
                self.rounds[name]()

        return Actor(f"keeper {name}", task)

    def keep(self) -> None:
        """Run each periodic task of the keeper once."""
        for name in self.rounds:
            with passing():
                self.rounds[name]()

    def deliver_all(self) -> None:
        """Run all jobs of the queue to their end on one worker."""
        while self.queues.jobs:
            self.recipes[0].run(self.queues.jobs.pop(0).execution_id)

    def jump(self, seconds: float) -> None:
        """Let *seconds* pass for the record, the leases and the broker."""
        self.clock.jump(seconds)
        moved = "; ".join(
            f"UPDATE {table} SET {', '.join(f'{name} = {name} - make_interval(secs => {seconds})' for name in names)}"
            for table, names in _TIMES.items()
        )
        self.rows(f"BEGIN; {moved}; COMMIT")
        now = self.clock.monotonic()
        self.broker.on_the_way = [way for way in self.broker.on_the_way if now - way.sent_at <= LONGEST_WAY_S]

    def renew(self, workers: Iterable[int]) -> None:
        """Renew the leases of *workers*, which are awake."""
        for worker in workers:
            for lease in list(self._leases[worker]._held.values()):
                self._leases[worker]._renew(lease)

    def rows(self, statement: str, values: Any = None) -> list[dict[str, Any]]:
        """Run a statement without the code under test."""
        cursor = self._connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def passing() -> Iterator[None]:
    """Ignore that the queue is away, as the keeper's tasks do."""
    try:
        yield
    except QueueUnavailable:
        return


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the logs of thousands of examples out of the report."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
